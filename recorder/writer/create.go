package writer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// secrets are a part's two keys. They are erased once the part's slots and sealer are made.
type secrets struct{ rk, sk [32]byte }

func (k *secrets) erase() {
	clear(k.rk[:])
	clear(k.sk[:])
}

// Create begins a part. When it returns, slots and header are durable and the keys are erased: only
// readers and unsealing officers can open what is recorded from here on.
func (n *Node) Create(ctx context.Context, cfg recorder.PartConfig) (recorder.Recording, error) {
	var k secrets
	rand.Read(k.rk[:])
	rand.Read(k.sk[:])
	r, err := n.create(ctx, cfg, &k)
	if err != nil {
		return nil, err // not r, which would be a nil *Recording in an interface
	}
	return r, nil
}

func (n *Node) create(ctx context.Context, cfg recorder.PartConfig, k *secrets) (*Recording, error) {
	defer k.erase()
	if err := errors.Join(ctx.Err(), n.Ready()); err != nil {
		return nil, err
	}
	start := n.cfg.Now()
	name := format.Place(cfg.Session, cfg.Part, start)
	if err := n.claim(name, start); err != nil {
		return nil, err
	}
	defer n.unclaim(name)
	r, err := n.prepare(cfg, name, start, k)
	if err == nil {
		err = n.admit(r)
	}
	if err != nil {
		return nil, fmt.Errorf("begin recording %s: %w", name, err)
	}
	return r, nil
}

// claim makes sure that a part has one recording only. It does not look at days before yesterday: session ids are
// random, and the database has one row for each part.
func (n *Node) claim(name string, start time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	base := filepath.Base(name)
	_, making := n.making[base]
	if _, err := files.Locate(n.vol.dir, base, start); making || !errors.Is(err, os.ErrNotExist) {
		return errkind.New(errkind.Conflict, "this part of the session has a recording already").Because(err)
	}
	n.making[base] = struct{}{}
	return nil
}

func (n *Node) unclaim(name string) {
	n.mu.Lock()
	delete(n.making, filepath.Base(name))
	n.mu.Unlock()
}

// prepare makes slots and container. The container gets its name last, so a container with its name always has its
// slots and a whole header.
func (n *Node) prepare(cfg recorder.PartConfig, name string, start time.Time, k *secrets) (*Recording, error) {
	rkSlot, err := format.Wrap(&k.rk, n.cfg.Readers)
	if err != nil {
		return nil, err
	}
	skSlot, err := format.Wrap(&k.sk, n.cfg.Unsealers)
	if err != nil {
		return nil, err
	}
	r := n.newRecording(cfg, name, start)
	hdr := format.Header{V: format.Version, Session: cfg.Session, Part: cfg.Part, PrevHead: cfg.PrevHead,
		LogOrigin: n.cfg.LogOrigin, Suite: format.Suite,
		DeviceFP: cfg.DeviceFP, GatewayKeyID: n.keyID, T0: r.t0.UnixNano(), ClockSync: clock()}
	rand.Read(hdr.Salt[:])
	var prefix []byte
	if r.s, prefix, err = seal.New(hdr, &k.rk, &k.sk); err != nil {
		return nil, err
	}
	k.erase()
	r.h0, r.slotRK, r.slotSK = r.s.H, sha256.Sum256(rkSlot), sha256.Sum256(skSlot)
	r.last = recorder.Closed{HFinal: r.h0, Bytes: r.s.Offset}
	rkName, skName := format.SlotNames(cfg.Session, cfg.Part)
	day := filepath.Dir(name)
	names := [3]string{filepath.Join(day, rkName), filepath.Join(day, skName), name}
	if r.f, err = n.place(day, names, [3][]byte{rkSlot, skSlot, prefix}); err != nil {
		return nil, n.refuse(err)
	}
	return r, nil
}

// place makes three files of a day durable and gives the last of them, open. Their syncs run at the same time, so that
// one commit of the file system serves all three.
func (n *Node) place(day string, names [3]string, content [3][]byte) (file, error) {
	if err := n.vol.ensureDay(day); err != nil {
		return nil, err
	}
	var files [3]file
	var errs [3]error
	done := make(chan struct{})
	for i := range names {
		go func() {
			files[i], errs[i] = n.vol.start(names[i], content[i])
			done <- struct{}{}
		}()
	}
	for range names {
		<-done
	}
	err := errors.Join(errs[:]...)
	if err == nil {
		err = errors.Join(files[0].Close(), files[1].Close(), n.vol.settle(names[:]...))
		files[0], files[1] = nil, nil
	}
	if err == nil {
		return files[2], nil
	}
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
	n.vol.discard(names[:]...)
	return nil, err
}

// refuse turns a failure to create a recording into an error for the person who requests the session.
func (n *Node) refuse(err error) error {
	var s *syncError
	if errors.As(err, &s) {
		n.fail(err)
		return n.failed()
	}
	if isFull(err) {
		return errFull("the disk that keeps the recordings is full, so no new session starts").Because(err)
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return unwritable(err)
	}
	return errDisk.Because(err)
}

// admit adds a recording to the open ones, unless the node has failed meanwhile.
func (n *Node) admit(r *Recording) error {
	n.mu.Lock()
	err := n.err
	if err == nil && n.closing {
		err = errClosing
	}
	if err == nil {
		n.open[r] = struct{}{}
	}
	n.mu.Unlock()
	if err != nil {
		return errors.Join(err, r.f.Close())
	}
	return nil
}

func (n *Node) newRecording(cfg recorder.PartConfig, name string, now time.Time) *Recording {
	limit := func(own, node int64) int64 {
		if own == 0 {
			return node
		}
		return own
	}
	r := &Recording{n: n, name: name, session: cfg.Session, part: cfg.Part, t0: now,
		offsets: map[streamID]uint64{}, channels: map[uint32]channel{},
		slowed: make(chan string, 1), stopped: make(chan struct{}), failed: make(chan struct{}), ended: make(chan struct{}), active: now,
		budget: newBudget(limit(cfg.Burst, n.cfg.Burst), limit(cfg.Rate, n.cfg.Rate), limit(cfg.Most, n.cfg.Most), now)}
	r.flushTimer = stoppedTimer(r.flush)
	r.verdictTimer = stoppedTimer(r.expire)
	return r
}

// stoppedTimer makes a timer that runs f whenever it is reset and not stopped in time.
func stoppedTimer(f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}
