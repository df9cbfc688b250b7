package main

import (
	"sync"
	"time"
)

// mutex: tasks goroutines add to one number under one lock.
func mutex(a flags) {
	tasks := a.number("tasks", 8)
	each := (a.number("n", 2_000_000) + tasks - 1) / tasks
	var lock sync.Mutex
	var done sync.WaitGroup
	total := 0
	start := time.Now()
	for task := 0; task < tasks; task++ {
		done.Add(1)
		go func() {
			for i := 0; i < each; i++ {
				lock.Lock()
				total++
				lock.Unlock()
			}
			done.Done()
		}()
	}
	done.Wait()
	elapsed := time.Since(start)
	check(total == tasks*each, "mutex")
	report(a, tasks*each, tasks*each, elapsed, figure{"tasks", float64(tasks)})
}
