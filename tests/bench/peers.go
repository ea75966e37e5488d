// What `micro channel` and `micro join` do, in Go, on one processor: `peers_go channel | join`.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
)

func cpuNs() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		os.Exit(1)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// A number goes there and comes back.
func channel(times int64) {
	there, back := make(chan int64), make(chan int64)
	go func() {
		for n := range there {
			back <- n
		}
		close(back)
	}()
	for i := int64(0); i < times; i++ {
		there <- i
		if <-back != i {
			os.Exit(1)
		}
	}
	close(there)
	<-back
}

var counter int64

func tiny(a, b int64, done *sync.WaitGroup) {
	counter += a + b
	done.Done()
}

// One is started and waited for, then the next.
func join(times int64) {
	var done sync.WaitGroup
	for i := int64(0); i < times; i++ {
		done.Add(1)
		go tiny(1, i, &done)
		done.Wait()
	}
}

func main() {
	const times = 4000000
	runtime.GOMAXPROCS(1)
	if len(os.Args) != 2 {
		os.Exit(2)
	}
	start := cpuNs()
	if os.Args[1] == "channel" {
		channel(times)
	} else {
		join(times)
	}
	fmt.Printf("%s_ns %.3f\n", os.Args[1], float64(cpuNs()-start)/times)
}
