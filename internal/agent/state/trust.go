package state

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// Refusal is a check that failed: a stable word and a text for people.
type Refusal struct{ Clause, Text string }

func (r *Refusal) Error() string { return r.Text }

// Refuse makes a refusal.
func Refuse(clause, format string, args ...any) *Refusal {
	return &Refusal{Clause: clause, Text: fmt.Sprintf(format, args...)}
}

// The clauses that a device refuses by, in the order of its checks. The owner's rules have clauses of their own.
const (
	ClauseRate       = "rate"
	ClauseFrozen     = "frozen"
	ClausePass       = "pass"
	ClauseDevice     = "device"
	ClauseSession    = "sid"
	ClauseStatus     = "status"
	ClauseEpoch      = "epoch"
	ClauseLeaf       = "leaf"
	ClauseCheckpoint = "checkpoint"
	ClauseHost       = "host"
	ClauseConsent    = "consent"
	ClauseLogin      = "login"
	ClauseFault      = "fault"
)

// Limits of the protocol.
const (
	NonceAge = 15 * time.Minute // of the nonce that an open's status answers
	burst    = 50               // opens at once, then two a second
	perSec   = 2
)

// Trust is what all sessions of a device share. One process, the keeper, holds it and writes it; every change
// is durable before the answer that rests on it.
type Trust struct {
	dir Dir

	mu     sync.Mutex // guards what follows
	mem    memory
	sids   map[id.Session]int64 // until when (Unix seconds) a pass for it could be good
	log    *os.File             // of sids
	nonces []sentNonce          // oldest first
	opens  *rate.Limiter
}

// memory is trust.json.
type memory struct {
	Epoch uint64        `json:"epoch"`
	Head  wire.TreeHead `json:"head"`
	Floor int64         `json:"floor"` // the latest signed time, Unix milliseconds
}

type sentNonce struct {
	n    [16]byte
	sent time.Duration
}

// OpenTrust reads what the directory remembers. The caller holds its lock.
func OpenTrust(d Dir) (*Trust, error) {
	t := &Trust{dir: d, sids: map[id.Session]int64{}, opens: rate.NewLimiter(perSec, burst)}
	if err := d.readJSON("trust.json", &t.mem); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := t.readSids(); err != nil {
		return nil, err
	}
	return t, nil
}

// readSids loads the used session ids and writes the file anew without those whose pass has expired. A torn last line is
// one that nothing was answered on.
func (t *Trust) readSids() error {
	raw, err := os.ReadFile(t.dir.file("sids"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("used sessions: %w", err)
	}
	var kept bytes.Buffer
	for line := range bytes.Lines(raw) { // of any length: what a fault of the disk left must not hide the lines behind it
		var text string
		var until int64
		if n, _ := fmt.Sscanf(string(line), "%s %d", &text, &until); n != 2 || until < t.mem.Floor/1000 {
			continue
		}
		if sid, err := id.ParseSession(text); err == nil {
			t.sids[sid] = max(until, t.sids[sid])
			fmt.Fprintf(&kept, "%s %d\n", sid, until)
		}
	}
	if err := t.dir.Write("sids", kept.Bytes()); err != nil {
		return err
	}
	t.log, err = os.OpenFile(t.dir.file("sids"), os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

// Close lets go of the files.
func (t *Trust) Close() error { return t.log.Close() }

// Begin counts an open against the rate and asks whether the owner froze the device.
func (t *Trust) Begin() *Refusal {
	if !t.opens.Allow() {
		return Refuse(ClauseRate, "this machine is asked for too many sessions at once; try again in a few seconds")
	}
	if t.dir.Frozen() {
		return FrozenRefusal()
	}
	return nil
}

// FrozenRefusal is the answer of a device that its owner has frozen.
func FrozenRefusal() *Refusal {
	return Refuse(ClauseFrozen, "the owner has frozen this machine: nothing new opens until it is thawed there")
}

// TakeSession uses up a session id, once for ever: a pass that expires at until is good for one session only.
func (t *Trust) TakeSession(sid id.Session, until time.Time) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, used := t.sids[sid]; used {
		return Refuse(ClauseSession, "the session %s was opened on this machine before; a pass is good for one session", sid)
	}
	return t.writeSid(sid, until)
}

// KeepSession remembers a used session id for longer: its next pass is good until then.
func (t *Trust) KeepSession(sid id.Session, until time.Time) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until.Unix() <= t.sids[sid] {
		return nil
	}
	return t.writeSid(sid, until)
}

// writeSid is durable when it returns. The caller holds t.mu.
func (t *Trust) writeSid(sid id.Session, until time.Time) *Refusal {
	_, err := fmt.Fprintf(t.log, "\n%s %d\n", sid, until.Unix()) // a full disk may have left half a line before it
	if err == nil {
		err = t.log.Sync()
	}
	t.sids[sid] = until.Unix()
	if err != nil {
		return Refuse(ClauseFault, "this machine cannot write down that the session is used: %v", err)
	}
	return nil
}

// NewNonce makes a nonce for the next status and remembers when.
func (t *Trust) NewNonce() []byte {
	var n sentNonce
	rand.Read(n.n[:])
	n.sent = Boot()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nonces = append(t.nonces, n)
	if len(t.nonces) > 512 {
		t.nonces = t.nonces[256:]
	}
	return bytes.Clone(n.n[:])
}

// SentAt gives the boot time at which a nonce was sent, if it is this device's and at most NonceAge old.
func (t *Trust) SentAt(nonce []byte) (time.Duration, *Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nonces {
		if bytes.Equal(n.n[:], nonce) && Boot()-n.sent <= NonceAge {
			return n.sent, nil
		}
	}
	return 0, Refuse(ClauseStatus, "the status does not answer a nonce that this machine sent in the last %d minutes", NonceAge/time.Minute)
}

// Raise takes a signed epoch and time. An epoch lower than the highest seen is an old status or an old pass.
func (t *Trust) Raise(epoch uint64, at int64) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if epoch < t.mem.Epoch {
		return Refuse(ClauseEpoch, "it is of epoch %d; this machine has seen %d", epoch, t.mem.Epoch)
	}
	next := t.mem
	next.Epoch, next.Floor = epoch, max(t.mem.Floor, at)
	if next.Epoch == t.mem.Epoch && next.Floor-t.mem.Floor < time.Hour.Milliseconds() {
		return nil // the floor need not be exact, and disks wear
	}
	return t.store(next)
}

// Extend takes a later head of the log, with the proof that it holds everything the device has seen.
func (t *Trust) Extend(log wire.LogIdentity, note []byte, proof []wire.Hash) (wire.TreeHead, *Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	head, err := Extends(t.mem.Head, log, note, proof)
	if err != nil {
		return head, Refuse(ClauseCheckpoint, "%v", err)
	}
	if head.Size <= t.mem.Head.Size {
		return head, nil
	}
	next := t.mem
	next.Head = head
	return head, t.store(next)
}

func (t *Trust) store(next memory) *Refusal {
	if err := t.dir.WriteJSON("trust.json", next); err != nil {
		return Refuse(ClauseFault, "this machine cannot write down what it has seen: %v", err)
	}
	t.mem = next
	return nil
}

// Epoch, Head and Floor are the highest seen.
func (t *Trust) Epoch() uint64 { t.mu.Lock(); defer t.mu.Unlock(); return t.mem.Epoch }

// Head is the log as last accepted.
func (t *Trust) Head() wire.TreeHead { t.mu.Lock(); defer t.mu.Unlock(); return t.mem.Head }

// Floor is a time that has certainly passed.
func (t *Trust) Floor() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.UnixMilli(t.mem.Floor)
}

// Frozen reports whether the owner froze the device. The file is the truth, so that freezing works without a running agent.
func (d Dir) Frozen() bool {
	_, err := os.Stat(d.file("frozen"))
	return err == nil || !errors.Is(err, fs.ErrNotExist) // what cannot be read may not open a door
}

// Freeze sets or lifts the freeze, durably.
func (d Dir) Freeze(on bool) error {
	if on {
		return d.Write("frozen", []byte("The owner has frozen this machine. `sallyport-agent thaw` lifts it.\n"))
	}
	if err := os.Remove(d.file("frozen")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("thaw: %w", err)
	}
	return SyncDir(d.Path)
}

// RememberedHead reads the head of the log that is on disk, without holding it.
func (d Dir) RememberedHead() (wire.TreeHead, error) {
	var m memory
	err := d.readJSON("trust.json", &m)
	return m.Head, err
}

// RememberedFloor reads from the state directory the newest time that a gateway has signed, which has certainly passed.
// It is 1970 before the first status.
func (d Dir) RememberedFloor() (time.Time, error) {
	var m memory
	if err := d.readJSON("trust.json", &m); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, err
	}
	return time.UnixMilli(m.Floor), nil
}
