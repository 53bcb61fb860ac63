package state

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

func newDir(t testing.TB) Dir {
	t.Helper()
	d := At(filepath.Join(t.TempDir(), strings.Repeat("long-", 20))) // longer than a socket's address may be
	if err := d.Prepare(true); err != nil {
		t.Fatal(err)
	}
	return d
}

func openTrust(t *testing.T, d Dir) *Trust {
	t.Helper()
	tr, err := OpenTrust(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func TestASessionIsTakenExactlyOnceByManyAndAfterARestart(t *testing.T) {
	d := newDir(t)
	tr := openTrust(t, d)
	sid, until := id.NewSession(), time.Now().Add(time.Hour)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if tr.TakeSession(sid, until) == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d took it, want one", won.Load())
	}
	if r := openTrust(t, d).TakeSession(sid, until); r == nil || r.Clause != ClauseSession {
		t.Errorf("after a restart: got %v", r)
	}
}

func TestATornLineOfUsedSessionsIsDroppedAndTheOthersCount(t *testing.T) {
	d := newDir(t)
	a, b := id.NewSession(), id.NewSession()
	text := a.String() + " 4000000000\n" + b.String()[:20]
	if err := os.WriteFile(filepath.Join(d.Path, "sids"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := openTrust(t, d)
	if tr.TakeSession(a, time.Now()) == nil {
		t.Error("a whole line was forgotten")
	}
	if r := tr.TakeSession(b, time.Now().Add(time.Hour)); r != nil {
		t.Errorf("a torn line counted: %v", r)
	}
	if openTrust(t, d).TakeSession(b, time.Now()) == nil {
		t.Error("a line after a torn one was lost")
	}
}

func TestUsedSessionsAreForgottenOnlyWhenNoPassCouldBeGood(t *testing.T) {
	d := newDir(t)
	tr := openTrust(t, d)
	old, young := id.NewSession(), id.NewSession()
	now := time.Unix(1_800_000_000, 0)
	tr.TakeSession(old, now.Add(-time.Second))
	tr.TakeSession(young, now.Add(time.Second))
	if r := tr.Raise(5, now.UnixMilli()); r != nil {
		t.Fatal(r)
	}
	raw, _ := os.ReadFile(filepath.Join(d.Path, "sids"))
	if !bytes.Contains(raw, []byte(old.String())) {
		t.Error("forgotten while running")
	}
	again := openTrust(t, d)
	if again.TakeSession(young, now) == nil {
		t.Error("a session whose pass is good was forgotten")
	}
	if again.TakeSession(old, now) != nil {
		t.Error("kept for ever")
	}
}

// TestARenewedSessionIsRememberedUntilItsNextPassEnds: the first pass may have ended when the agent starts again.
func TestARenewedSessionIsRememberedUntilItsNextPassEnds(t *testing.T) {
	d := newDir(t)
	tr := openTrust(t, d)
	sid, now := id.NewSession(), time.Unix(1_800_000_000, 0)
	tr.TakeSession(sid, now.Add(-time.Second))
	if r := tr.KeepSession(sid, now.Add(time.Hour)); r != nil {
		t.Fatal(r)
	}
	if r := tr.KeepSession(sid, now); r != nil { // a shorter one takes nothing away
		t.Fatal(r)
	}
	if r := tr.Raise(5, now.UnixMilli()); r != nil {
		t.Fatal(r)
	}
	if openTrust(t, d).TakeSession(sid, now) == nil {
		t.Error("a session whose next pass is good was forgotten")
	}
}

func TestEpochsOnlyRise(t *testing.T) {
	d := newDir(t)
	tr := openTrust(t, d)
	for _, c := range []struct {
		epoch uint64
		ok    bool
	}{{7, true}, {7, true}, {6, false}, {9, true}, {8, false}} {
		if r := tr.Raise(c.epoch, 1); (r == nil) != c.ok {
			t.Errorf("epoch %d: got %v", c.epoch, r)
		}
	}
	if again := openTrust(t, d); again.Epoch() != 9 || again.Raise(8, 1) == nil {
		t.Errorf("after a restart: epoch %d, want 9", again.Epoch())
	}
}

func TestANonceIsGoodForAQuarterOfAnHourAndOwn(t *testing.T) {
	tr := openTrust(t, newDir(t))
	n := tr.NewNonce()
	if _, r := tr.SentAt(n); r != nil {
		t.Error(r)
	}
	if _, r := tr.SentAt(make([]byte, 16)); r == nil {
		t.Error("a nonce of somebody else was taken")
	}
	tr.nonces[0].sent = Boot() - NonceAge + time.Second
	if _, r := tr.SentAt(n); r != nil {
		t.Error("refused a second too early")
	}
	tr.nonces[0].sent = Boot() - NonceAge - time.Millisecond
	if _, r := tr.SentAt(n); r == nil || r.Clause != ClauseStatus {
		t.Errorf("got %v, want a refusal", r)
	}
}

func TestOpensAreLimitedToABurstAndARate(t *testing.T) {
	tr := openTrust(t, newDir(t))
	for i := range burst {
		if r := tr.Begin(); r != nil {
			t.Fatalf("open %d: %v", i, r)
		}
	}
	if r := tr.Begin(); r == nil || r.Clause != ClauseRate {
		t.Errorf("got %v, want a refusal by rate", r)
	}
	tr.opens = rate.NewLimiter(perSec, burst)
	tr.dir.Freeze(true)
	if r := tr.Begin(); r == nil || r.Clause != ClauseFrozen {
		t.Errorf("got %v, want frozen", r)
	}
	tr.dir.Freeze(false)
	if r := tr.Begin(); r != nil {
		t.Error(r)
	}
}

func TestTimeIsAnIntervalThatGrowsOnlyAtItsHighEnd(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	c := Clock{Status: at, Sent: 100 * time.Second, Got: 103 * time.Second}
	low, high := c.At(163 * time.Second)
	if !low.Equal(at.Add(60*time.Second)) || !high.Equal(at.Add(63*time.Second)) {
		t.Errorf("got %s to %s", low, high)
	}
}

func TestASocketBelowALongPathAnswersAndADeadOneIsRemoved(t *testing.T) {
	d := newDir(t)
	sid := id.NewSession()
	l, err := d.Listen(SessionSocket(sid))
	if err != nil {
		t.Fatal(err)
	}
	go Serve(l, func(a Ask) any { return Live{Session: sid, Reason: a.Op} })
	st, err := os.Stat(filepath.Join(d.RunDir(), SessionSocket(sid)))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", st, err)
	}
	var got Live
	if err := d.CallSession(sid, Ask{Op: "info"}, &got); err != nil || got.Session != sid || got.Reason != "info" {
		t.Errorf("got %+v, %v", got, err)
	}
	l.Close()
	if err := d.CallSession(sid, Ask{Op: "info"}, &got); err == nil || len(d.Sessions()) != 0 {
		t.Errorf("a dead socket: %v, %d left", err, len(d.Sessions()))
	}
}

func TestKeysAreMadeOnceAndReadAgain(t *testing.T) {
	d := newDir(t)
	a, err := d.MakeKeys()
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.MakeKeys()
	if err != nil || a.FP() != b.FP() || a.Noise != b.Noise {
		t.Errorf("got other keys: %v", err)
	}
	if _, err := d.Bundle(); err == nil {
		t.Error("a bundle that nobody stored was read")
	}
	if err := d.WriteJSON("bundle.json", wire.Signed{Body: []byte("{}"), Sig: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bundle(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a bundle that does not hold: %v", err)
	}
}

func TestASocketIsNotTakenForADeadOneWhileItIsMade(t *testing.T) {
	d := newDir(t)
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() { // as whoever lists the sessions does
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, sid := range d.Sessions() {
					d.CallSession(sid, Ask{Op: "info"}, &Live{})
				}
			}
		})
	}
	for range 300 {
		sid := id.NewSession()
		l, err := d.Listen(SessionSocket(sid))
		if err != nil {
			t.Fatal(err)
		}
		go Serve(l, func(Ask) any { return Live{} })
		if err := d.CallSession(sid, Ask{Op: "info"}, &Live{}); err != nil {
			t.Fatalf("the socket has no name any more: %v", err)
		}
		d.Unlisten(SessionSocket(sid))
		l.Close()
	}
	close(stop)
	asking.Wait()
}

func TestALineAfterOneThatAFullDiskCutIsNotForgotten(t *testing.T) {
	d := newDir(t)
	tr := openTrust(t, d)
	if _, err := tr.log.WriteString(id.NewSession().String() + " 40"); err != nil { // what a short write leaves
		t.Fatal(err)
	}
	sid, until := id.NewSession(), time.Now().Add(time.Hour)
	if r := tr.TakeSession(sid, until); r != nil {
		t.Fatal(r)
	}
	if r := tr.Raise(1, time.Now().UnixMilli()); r != nil {
		t.Fatal(r)
	}
	if r := openTrust(t, d).TakeSession(sid, until); r == nil || r.Clause != ClauseSession {
		t.Errorf("after a restart: got %v, want that it was used", r)
	}
}
