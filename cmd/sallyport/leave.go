package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
)

// leaveTime is how long the end of a session may take after its technician has ended it here.
const leaveTime = 5 * time.Second

// leaving ends a session at the technician's wish. A gateway or a network that takes nothing does not keep the
// technician then, and neither does a program that does not read our output.
type leaving struct {
	t    *client.Terminal
	once sync.Once
	late chan struct{} // closed leaveTime after end was called
}

func newLeaving(t *client.Terminal) *leaving { return &leaving{t: t, late: make(chan struct{})} }

// end ends the session. It does not wait.
func (l *leaving) end() {
	l.once.Do(func() {
		time.AfterFunc(leaveTime, func() { close(l.late) })
		go func() { _ = l.t.End() }() // waits for a network that takes nothing
	})
}

// wait runs show, which shows the session, and gives what it gives. It returns without it if show takes too long after
// the session was ended.
func (l *leaving) wait(a *app, show func() error) error {
	shown := make(chan error, 1)
	go func() { shown <- show() }()
	select {
	case err := <-shown:
		return err
	case <-l.late:
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		a.tell(errkind.New(errkind.Unavailable, fmt.Sprintf("you ended the session, and its end did not come within %s",
			leaveTime)).WithHint("The gateway did not answer, or nothing reads the output of this command."))
	}()
	select { // our stderr may be what nobody reads
	case <-said:
	case <-time.After(time.Second):
	}
	return exitStatus(ownFailure)
}

// forward passes our own signals on to the program; a second one within a second ends the session. A terminal of our
// own sends its keys, not signals: then a signal is meant for us, and the session ends, so that the terminal is put
// right on the way out. After stop nobody hears the signals, and they still do not end this process: its status would be
// that of a signal if one came just before its exit.
func forward(t *client.Terminal, leave *leaving, raw bool, signals []os.Signal) (stop func()) {
	ch, names := make(chan os.Signal, 4), make(chan string, 4)
	if len(signals) > 0 { // none would mean all
		signal.Notify(ch, signals...)
	}
	done := make(chan struct{})
	go sendSignals(t, names)
	go func() {
		defer close(names)
		var last time.Time
		for {
			select {
			case <-done:
				return
			case s := <-ch:
				if raw || time.Since(last) < time.Second {
					leave.end()
				}
				last = time.Now()
				select {
				case names <- forwarded[s]:
				default: // the gateway takes nothing, and has enough of them
				}
			}
		}
	}()
	return func() { close(done) }
}

// sendSignals sends signals apart from where they are heard, because the gateway may take nothing.
func sendSignals(t *client.Terminal, names <-chan string) {
	for name := range names {
		_ = t.Signal(name) // the goroutine that waits for the session reports a lost line
	}
}
