// The workloads of weftwork-bench on Go: `gopeers BENCH [--n N] [--workers W] [--cap C] ...`.
//
// Names, flags and the JSON line are those of weftwork-bench; --workers sets GOMAXPROCS.
// Every run checks its own result and panics when it is wrong.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	a := parse()
	runtime.GOMAXPROCS(a.number("workers", 1))
	benches := map[string]func(flags){
		"switch":       yieldRoundTrips,
		"spawn_join":   spawnJoin,
		"parked":       parked,
		"pingpong":     pingpong,
		"mpmc":         mpmc,
		"mpsc":         mpsc,
		"select":       selectOfFour,
		"idle_waiters": idleWaiters,
		"mutex":        mutex,
		"actor_tell":   actorTell,
		"actor_fanin":  actorFanin,
		"actor_ask":    actorAsk,
		"actor_spawn":  actorSpawn,
		"actor_mem":    actorMem,
		"ring":         ring,
		"skynet":       skynet,
		"cpu_fib":      cpuFib,
		"timer":        timer,
		"echo":         echo,
	}
	run, known := benches[a.bench]
	if !known {
		fmt.Fprintln(os.Stderr, "no such bench:", a.bench)
		os.Exit(2)
	}
	run(a)
}

// flags holds the command line: a bench and pairs of a name and a value.
type flags struct {
	bench  string
	values map[string]string
}

func parse() flags {
	a := flags{values: map[string]string{}}
	words := os.Args[1:]
	for i := 0; i < len(words); i++ {
		name, isFlag := strings.CutPrefix(words[i], "--")
		switch {
		case !isFlag:
			a.bench = words[i]
		case i+1 < len(words):
			a.values[name] = words[i+1]
			i++
		default:
			panic("a flag without a value: " + words[i])
		}
	}
	return a
}

// number returns the value of a flag; a suffix k or m multiplies.
func (a flags) number(name string, otherwise int) int {
	text, given := a.values[name]
	if !given {
		return otherwise
	}
	factor := 1
	if digits, ok := strings.CutSuffix(text, "k"); ok {
		text, factor = digits, 1_000
	} else if digits, ok := strings.CutSuffix(text, "m"); ok {
		text, factor = digits, 1_000_000
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		panic("not a number: " + a.values[name])
	}
	return value * factor
}

// figure is one more key of the JSON line.
type figure struct {
	key   string
	value float64
}

// report prints the JSON line of ops operations that took elapsed.
func report(a flags, n, ops int, elapsed time.Duration, more ...figure) {
	ns := float64(elapsed.Nanoseconds())
	timed := []figure{{"ns_per_op", ns / float64(ops)}, {"ops_per_s", float64(ops) * 1e9 / ns}}
	reportUntimed(a, n, append(timed, more...)...)
}

// reportUntimed prints the JSON line of a run whose time is not what is measured.
func reportUntimed(a flags, n int, figures ...figure) {
	line := fmt.Sprintf(`{"bench":"%s","peer":"go","lang":"go","workers":%d,"n":%d`,
		a.bench, a.number("workers", 1), n)
	figures = append(figures, figure{"peak_rss_mib", statusKiB("VmHWM:") / 1024})
	for _, f := range figures {
		if f.value == math.Trunc(f.value) {
			line += fmt.Sprintf(`,"%s":%.0f`, f.key, f.value)
		} else {
			line += fmt.Sprintf(`,"%s":%.4f`, f.key, f.value)
		}
	}
	fmt.Println(line + "}")
}

// statusKiB returns a number of /proc/self/status: VmRSS is what is resident, VmPTE what the
// kernel spends on page tables.
func statusKiB(name string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, name); found {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib
		}
	}
	return 0
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func check(right bool, what string) {
	if !right {
		panic("wrong result: " + what)
	}
}
