package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// arms is the number of channels of selectOfFour.
const arms = 4

// waitersPerChannel is how many goroutines of idleWaiters wait at one channel.
const waitersPerChannel = 4

// share sends what producer, one of producers, sends of the values below n.
func share(out chan<- uint64, producer, producers, n int) {
	for value := producer; value < n; value += producers {
		out <- uint64(value)
	}
}

func sumBelow(n int) uint64 {
	return uint64(n) * uint64(max(n, 1)-1) / 2
}

// pingpong: two goroutines hand a value to and fro over two channels; capacity 0 is a rendezvous.
func pingpong(a flags) {
	n, capacity := a.number("n", 300_000), a.number("cap", 1)
	there, back := make(chan uint64, capacity), make(chan uint64, capacity)
	var done sync.WaitGroup
	done.Add(2)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			back <- <-there
		}
		done.Done()
	}()
	go func() {
		for i := 0; i < n; i++ {
			there <- uint64(i)
			check(<-back == uint64(i), "pingpong")
		}
		done.Done()
	}()
	done.Wait()
	report(a, n, n, time.Since(start), figure{"cap", float64(capacity)})
}

// mpmc: producers goroutines send to consumers goroutines over one channel.
func mpmc(a flags) {
	exchange(a, a.number("producers", 4), a.number("consumers", 4))
}

// mpsc: the same with one consumer.
func mpsc(a flags) {
	exchange(a, a.number("producers", 4), 1)
}

func exchange(a flags, producers, consumers int) {
	n, capacity := a.number("n", 2_000_000), a.number("cap", 128)
	if capacity < 0 {
		fmt.Fprintln(os.Stderr, "Go has no channel without bound")
		os.Exit(2)
	}
	messages := make(chan uint64, capacity)
	var senders, receivers sync.WaitGroup
	var sum atomic.Uint64
	start := time.Now()
	for producer := 0; producer < producers; producer++ {
		senders.Add(1)
		go func() {
			share(messages, producer, producers, n)
			senders.Done()
		}()
	}
	for consumer := 0; consumer < consumers; consumer++ {
		receivers.Add(1)
		go func() {
			own := uint64(0)
			for value := range messages {
				own += value
			}
			sum.Add(own)
			receivers.Done()
		}()
	}
	senders.Wait()
	close(messages)
	receivers.Wait()
	elapsed := time.Since(start)
	check(sum.Load() == sumBelow(n), "a sum of messages")
	report(a, n, n, elapsed, figure{"cap", float64(capacity)},
		figure{"producers", float64(producers)}, figure{"consumers", float64(consumers)})
}

// selectOfFour: one goroutine receives from four channels, each with a producer of its own.
func selectOfFour(a flags) {
	n, capacity := a.number("n", 1_000_000), a.number("cap", 128)
	var channels [arms]chan uint64
	start := time.Now()
	for arm := range channels {
		channels[arm] = make(chan uint64, capacity)
		go share(channels[arm], arm, arms, n)
	}
	total := make(chan uint64)
	go func() {
		first, second, third, fourth := channels[0], channels[1], channels[2], channels[3]
		sum := uint64(0)
		for i := 0; i < n; i++ {
			select {
			case value := <-first:
				sum += value
			case value := <-second:
				sum += value
			case value := <-third:
				sum += value
			case value := <-fourth:
				sum += value
			}
		}
		total <- sum
	}()
	sum := <-total
	elapsed := time.Since(start)
	check(sum == sumBelow(n), "select")
	report(a, n, n, elapsed, figure{"cap", float64(capacity)})
}

// idleWaiters: n goroutines wait to receive and nobody sends; the CPU time of a second of that.
func idleWaiters(a flags) {
	n, capacity := a.number("n", 1_000), a.number("cap", 0)
	span := time.Duration(a.number("span-ms", 1_000)) * time.Millisecond
	channels := make([]chan uint64, (n+waitersPerChannel-1)/waitersPerChannel)
	for i := range channels {
		channels[i] = make(chan uint64, capacity)
	}
	var waiting atomic.Int64
	var sum atomic.Uint64
	var done sync.WaitGroup
	done.Add(n)
	for waiter := 0; waiter < n; waiter++ {
		go func() {
			waiting.Add(1)
			sum.Add(<-channels[waiter/waitersPerChannel])
			done.Done()
		}()
	}
	for waiting.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(2500 * time.Millisecond)
	cpu, start := cpuTime(), time.Now()
	time.Sleep(span)
	watched := time.Since(start).Seconds()
	cpu = cpuTime() - cpu
	for value := 0; value < n; value++ {
		channels[value/waitersPerChannel] <- uint64(value)
	}
	done.Wait()
	check(sum.Load() == sumBelow(n), "idle_waiters")
	reportUntimed(a, n, figure{"cpu_us_per_s", float64(cpu.Microseconds()) / watched})
}
