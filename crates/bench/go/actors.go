package main

import (
	"runtime"
	"sync"
	"time"
)

// A goroutine with a channel in place of an actor: it adds, and answers.

// roomOfMailbox is the capacity of a channel that is filled: that of our mailboxes.
const roomOfMailbox = 1024

// senders is how many goroutines of actorFanin send.
const senders = 4

// nodes is the number of goroutines in a ring.
const nodes = 503

// message asks for the number where it has a reply, and else adds to it.
type message struct {
	add   uint64
	reply chan<- uint64
}

func count(messages <-chan message) {
	number := uint64(0)
	for m := range messages {
		if m.reply != nil {
			m.reply <- number
		} else {
			number += m.add
		}
	}
}

func get(counter chan<- message, answers chan uint64) uint64 {
	counter <- message{reply: answers}
	return <-answers
}

// actorTell: one goroutine sends to another.
func actorTell(a flags) { tell(a, 1) }

// actorFanin: several do.
func actorFanin(a flags) { tell(a, senders) }

func tell(a flags, senders int) {
	each := (a.number("n", 5_000_000) + senders - 1) / senders
	total := each * senders
	counter, answers := make(chan message, roomOfMailbox), make(chan uint64, 1)
	go count(counter)
	check(get(counter, answers) == 0, "actor_tell")
	var done sync.WaitGroup
	start := time.Now()
	for sender := 0; sender < senders; sender++ {
		done.Add(1)
		go func() {
			for i := 0; i < each; i++ {
				counter <- message{add: 1}
			}
			done.Done()
		}()
	}
	done.Wait()
	check(get(counter, answers) == uint64(total), "actor_tell")
	report(a, total, total, time.Since(start))
}

// actorAsk: question after question, all answered over one channel.
func actorAsk(a flags) {
	n := a.number("n", 500_000)
	counter, answers := make(chan message, 1), make(chan uint64, 1)
	go count(counter)
	counter <- message{add: 1}
	start := time.Now()
	for i := 0; i < n; i++ {
		check(get(counter, answers) == 1, "actor_ask")
	}
	report(a, n, n, time.Since(start))
}

// actorSpawn: goroutines are started with a channel each, which is then closed.
func actorSpawn(a flags) {
	n := a.number("n", 200_000)
	counters := make([]chan message, 1000)
	start := time.Now()
	for left := n; left > 0; {
		batch := min(left, len(counters))
		var done sync.WaitGroup
		done.Add(batch)
		for i := 0; i < batch; i++ {
			counter := make(chan message, 1)
			counters[i] = counter
			go func() {
				count(counter)
				done.Done()
			}()
		}
		for _, counter := range counters[:batch] {
			close(counter)
		}
		done.Wait()
		left -= batch
	}
	report(a, n, n, time.Since(start))
}

// actorMem: many goroutines that have each answered once.
func actorMem(a flags) {
	n := a.number("n", 200_000)
	counters, answers := make([]chan message, n), make(chan uint64, 1)
	runtime.GC()
	before := statusKiB("VmRSS:") + statusKiB("VmPTE:")
	start := time.Now()
	for i := range counters {
		counters[i] = make(chan message, 1)
		go count(counters[i])
	}
	for _, counter := range counters {
		check(get(counter, answers) == 0, "actor_mem")
	}
	elapsed := time.Since(start)
	time.Sleep(300 * time.Millisecond)
	kib := statusKiB("VmRSS:") + statusKiB("VmPTE:") - before
	report(a, n, n, elapsed, figure{"bytes_per_actor", kib * 1024 / float64(n)})
	for _, counter := range counters {
		close(counter)
	}
}

// ring: goroutines pass a number around until it is zero.
func ring(a flags) {
	n := a.number("n", 1_000_000)
	done := make(chan struct{}, 1)
	links := make([]chan uint64, nodes)
	for i := range links {
		links[i] = make(chan uint64, 1)
	}
	for i := range links {
		in, out := links[i], links[(i+1)%nodes]
		go func() {
			for number := range in {
				if number == 0 {
					done <- struct{}{}
				} else {
					out <- number - 1
				}
			}
		}()
	}
	start := time.Now()
	links[0] <- uint64(n)
	<-done
	report(a, n, n, time.Since(start))
}
