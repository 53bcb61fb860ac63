package main

import (
	"bytes"
	"io"
	"testing"
)

// gate takes nothing until it is opened.
type gate struct {
	open chan struct{}
	bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(p)
}

func TestTheEscapeIsReadWhileInputIsStuck(t *testing.T) {
	to := &gate{open: make(chan struct{})}
	ahead, passed := aheadOf(to), make(chan struct{})
	go func() { defer close(passed); ahead.pass() }()
	ended := false
	e := &escape{to: ahead, end: func() { ended = true }}
	paste := bytes.Repeat([]byte("a line of a paste\r"), 20_000)
	for rest := paste; len(rest) > 0; rest = rest[min(len(rest), 32<<10):] {
		if _, err := e.Write(rest[:min(len(rest), 32<<10)]); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(e, "~.")
	if !ended {
		t.Error("the escape was not read behind a paste that is stuck")
	}
	ahead.close()
	close(to.open)
	<-passed
	if !bytes.Equal(to.Bytes(), paste) {
		t.Errorf("%d bytes passed on, want the %d of the paste", to.Len(), len(paste))
	}
}
