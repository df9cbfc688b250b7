package main

import (
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// yieldRoundTrips: two goroutines yield to each other.
func yieldRoundTrips(a flags) {
	n := a.number("n", 1_000_000)
	var done sync.WaitGroup
	start := time.Now()
	for k := 0; k < 2; k++ {
		done.Add(1)
		go func() {
			for i := 0; i < n; i++ {
				runtime.Gosched()
			}
			done.Done()
		}()
	}
	done.Wait()
	report(a, n, n, time.Since(start))
}

// spawnJoin: goroutines are started and waited for in batches of 1000.
func spawnJoin(a flags) {
	n := a.number("n", 1_000_000)
	results := make([]uint64, 1000)
	sum := uint64(0)
	start := time.Now()
	for left := n; left > 0; {
		batch := min(left, len(results))
		var done sync.WaitGroup
		done.Add(batch)
		for i := 0; i < batch; i++ {
			go func() {
				results[i] = 1
				done.Done()
			}()
		}
		done.Wait()
		for i := 0; i < batch; i++ {
			sum += results[i]
			results[i] = 0
		}
		left -= batch
	}
	elapsed := time.Since(start)
	check(sum == uint64(n), "spawn_join")
	report(a, n, n, elapsed)
}

// parked: n goroutines wait, each at a channel of its own, and are then woken.
func parked(a flags) {
	n := a.number("n", 100_000)
	var count atomic.Int64
	var done sync.WaitGroup
	done.Add(n)
	channels := make([]chan struct{}, n)
	runtime.GC()
	rss, pte := statusKiB("VmRSS:"), statusKiB("VmPTE:")
	start := time.Now()
	for i := range channels {
		wake := make(chan struct{})
		channels[i] = wake
		go func() {
			count.Add(1)
			<-wake
			done.Done()
		}()
	}
	for count.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	spawn := time.Since(start)
	time.Sleep(300 * time.Millisecond)
	rss, pte = statusKiB("VmRSS:")-rss, statusKiB("VmPTE:")-pte
	start = time.Now()
	for _, wake := range channels {
		wake <- struct{}{}
	}
	done.Wait()
	report(a, n, n, time.Since(start),
		figure{"rss_kib_per_unit", rss / float64(n)},
		figure{"pte_kib_per_unit", pte / float64(n)},
		figure{"spawn_ns_per_op", float64(spawn.Nanoseconds()) / float64(n)})
}

func sky(out chan<- uint64, first, leaves uint64) {
	if leaves == 1 {
		out <- first
		return
	}
	share := leaves / 10
	children := make(chan uint64, 10)
	for i := uint64(0); i < 10; i++ {
		go sky(children, first+i*share, share)
	}
	sum := uint64(0)
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	out <- sum
}

// skynet: a tree of goroutines, ten children each, adds up its leaves.
func skynet(a flags) {
	n := uint64(1)
	for wanted := uint64(a.number("n", 1_000_000)); n*10 <= wanted; n *= 10 {
	}
	out := make(chan uint64, 1)
	start := time.Now()
	go sky(out, 0, n)
	sum := <-out
	elapsed := time.Since(start)
	check(sum == n*(n-1)/2, "skynet")
	report(a, int(n), int(n), elapsed)
}

func fibonacci(n int) int {
	this, next := 0, 1
	for i := 0; i < n; i++ {
		this, next = next, this+next
	}
	return this
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	var forked int
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		forked = fib(n - 1)
		done.Done()
	}()
	inline := fib(n - 2)
	done.Wait()
	return forked + inline
}

// cpuFib: the recursive Fibonacci function, with a goroutine per call.
func cpuFib(a flags) {
	n := a.number("fib", 30)
	start := time.Now()
	result := fib(n)
	elapsed := time.Since(start)
	check(result == fibonacci(n), "cpu_fib")
	forks := max(fibonacci(n+1), 2) - 1
	report(a, n, forks, elapsed, figure{"wall_ms", float64(elapsed.Nanoseconds()) / 1e6})
}

// sleeps is the sequence of sleeps that every peer uses (a xorshift generator).
type sleeps uint64

func (s *sleeps) next(span uint64) time.Duration {
	x := uint64(*s)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*s = sleeps(x)
	return time.Duration((x >> 32) * span >> 32)
}

// timer: n goroutines sleep for a time between 0 and span_ms; CPU time per timer, and lateness.
func timer(a flags) {
	n, span := a.number("n", 100_000), a.number("span-ms", 1000)
	sequence := sleeps(0x9E3779B97F4A7C15)
	late := make([]int64, n)
	var done sync.WaitGroup
	done.Add(n)
	cpu := cpuTime()
	start := time.Now()
	for i := 0; i < n; i++ {
		sleep := sequence.next(uint64(span) * 1_000_000)
		go func() {
			due := time.Now().Add(sleep)
			time.Sleep(sleep)
			late[i] = max(0, int64(time.Since(due)))
			done.Done()
		}()
	}
	done.Wait()
	wall := float64(time.Since(start).Nanoseconds()) / 1e6
	cpu = cpuTime() - cpu
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	quantile := func(q float64) float64 {
		return float64(late[min(int(float64(n)*q), n-1)]) / 1000
	}
	report(a, n, n, cpu,
		figure{"late_p50_us", quantile(0.5)}, figure{"late_p99_us", quantile(0.99)},
		figure{"late_max_us", quantile(1)},
		figure{"wall_ms", wall}, figure{"overhead_ms", wall - float64(span)})
}
