package client

import (
	"testing"
	"testing/synctest"
)

func TestInputWaitsForTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(10)
		if got := w.take(7); got != 7 {
			t.Errorf("got %d of a window of 10, want 7", got)
		}
		if got := w.take(7); got != 3 {
			t.Errorf("got %d of what is left, want 3", got)
		}
		got := make(chan int, 1)
		go func() { got <- w.take(7) }()
		synctest.Wait()
		select {
		case n := <-got:
			t.Fatalf("got %d bytes of an empty window", n)
		default:
		}
		w.give(5)
		if n := <-got; n != 5 {
			t.Errorf("got %d, want the 5 that were returned", n)
		}
		go func() { got <- w.take(1) }()
		synctest.Wait()
		w.close()
		if n := <-got; n != 0 {
			t.Errorf("got %d bytes when the session was over", n)
		}
	})
}
