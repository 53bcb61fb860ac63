// Package writer makes recordings durable. [Node] is the recorder of a gateway. It has one journal for all sessions
// of a host, crash recovery, budgets, and a ballast so that a full disk can take the ends of running sessions.
//
// Output and Input of a [Recording] return nil only after the disk has confirmed that the journal has their bytes. So
// the record never lacks anything that the device executed or the technician saw. Callers that arrive during a sync
// share the next one. There is no timer. Session files are written after the journal, and checkpointed before the
// journal is reused. Recovery copies bytes and encrypts nothing, so no nonce is ever used twice. A recording that was
// cut by a crash is never written to again.
//
// Only the code that assembles a process imports this package. Code that records depends on the interfaces of package
// recorder. Nothing that reads or verifies recordings may depend on this package.
package writer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// NodeConfig configures a node. Sizes are in bytes. Zero means the default.
type NodeConfig struct {
	Dir       string             // recordings, slots, journal; made with mode 0700
	Key       ed25519.PrivateKey // the record key: signs closes
	LogOrigin string
	Readers   []age.Recipient // open records
	Unsealers []age.Recipient // open hidden input

	JournalBytes   int64 // written with zeros once; default 256 MiB
	PendingSession int64 // not yet durable, in one session; default 1 MiB
	PendingAll     int64 // in all; default 64 MiB

	// The budget of one session. Negative Rate or Most: no limit.
	Burst int64 // at any speed; default 256 MiB
	Rate  int64 // bytes a second after that; default 8 MiB
	Most  int64 // ends the session; default 2 GiB

	Ballast     int64         // space reserved for the ends of running sessions; zero: none
	LowWater    int64         // free space below which no session starts; zero: none
	VerdictWait time.Duration // input stays sealed after this time without a verdict on its channel; default 5 s
	Log         *slog.Logger
	Now         func() time.Time
	Committed   func(took time.Duration) // called after every commit, also a failed one

	layer layer // tests put failures between the node and its disk
}

func (c NodeConfig) withDefaults() NodeConfig {
	or := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.JournalBytes, 256<<20)
	or(&c.PendingSession, 1<<20)
	or(&c.PendingAll, 64<<20)
	or(&c.Burst, 256<<20)
	or(&c.Rate, 8<<20)
	or(&c.Most, 2<<30)
	if c.VerdictWait == 0 {
		c.VerdictWait = 5 * time.Second // the reference agent holds a line of a paste for 2 s
	}
	if c.Committed == nil {
		c.Committed = func(time.Duration) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.layer == nil {
		c.layer = osLayer{}
	}
	c.JournalBytes = max(c.JournalBytes, minJournal) / (2 * format.JournalBlock) * (2 * format.JournalBlock)
	return c
}

func (c NodeConfig) check() error {
	switch {
	case c.Dir == "":
		return errors.New("recorder: no directory")
	case len(c.Key) != ed25519.PrivateKeySize:
		return errors.New("recorder: no record key")
	case len(c.Readers) == 0:
		return errors.New("recorder: no reader: nobody could ever read a recording")
	case len(c.Unsealers) == 0:
		return errors.New("recorder: no unsealing officer: nobody could ever open hidden input")
	}
	return nil
}

// Node makes the recordings of a host. It owns their directory, and the one journal in it.
type Node struct {
	cfg   NodeConfig
	keyID [32]byte
	vol   *volume
	held  *os.File // the lock on the directory

	// The committer's.
	jr     *journal
	bench  *seal.Workbench
	shares []share

	wake chan struct{} // something joined the batch
	quit chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex // guards what follows; taken after a recording's own
	batch   *batch     // that gathers
	open    map[*Recording]struct{}
	making  map[string]struct{} // parts whose files are being made
	pending int64
	err     error // why the node records no more
	closing bool
}

// OpenNode locks the directory and recovers its recordings to the state that was acknowledged before a crash. It
// returns the parts that the crash has cut. Every start reports each of them until Settled.
func OpenNode(ctx context.Context, cfg NodeConfig) (*Node, []recorder.Interrupted, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, nil, err
	}
	n := &Node{cfg: cfg, bench: seal.NewWorkbench(), wake: make(chan struct{}, 1), quit: make(chan struct{}),
		batch: newBatch(), open: map[*Recording]struct{}{}, making: map[string]struct{}{},
		keyID: format.KeyID(cfg.Key.Public().(ed25519.PublicKey)),
		vol: &volume{dir: cfg.Dir, layer: cfg.layer, lowWater: cfg.LowWater, ballast: cfg.Ballast, log: cfg.Log,
			days: map[string]bool{}}}
	cut, flat, err := n.start(ctx)
	if err != nil {
		if n.held != nil {
			n.held.Close()
		}
		return nil, nil, fmt.Errorf("recorder in %s: %w", cfg.Dir, err)
	}
	n.done.Go(n.commits)
	n.done.Go(n.checkpoints)
	n.done.Go(func() { n.move(flat) })
	return n, cut, nil
}

// start does everything that must precede a recording. flat lists containers in the directory itself that can be moved.
func (n *Node) start(ctx context.Context) (cut []recorder.Interrupted, flat []string, err error) {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return nil, nil, err
	}
	if n.held, err = os.OpenFile(n.vol.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, nil, err
	}
	if err := lock(n.held); err != nil {
		return nil, nil, err
	}
	r, err := n.recover(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := makeJournal(n.vol, n.cfg.JournalBytes); err != nil {
		return nil, nil, err
	}
	if n.jr, err = openJournal(n.vol, n.cfg.JournalBytes, r.epoch); err != nil {
		return nil, nil, err
	}
	n.vol.arm()
	return r.cut, r.flat, nil
}

// Ready returns the reason why no new session may start, or nil.
func (n *Node) Ready() error {
	n.mu.Lock()
	err := n.err
	if err == nil && n.closing {
		err = errClosing
	}
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return n.vol.ready()
}

var errClosing = errkind.New(errkind.Unavailable, "the recorder is shutting down, so no new session starts").WithHint("Try again in a minute.")

// failed gives the reason why the node no longer records, or nil.
func (n *Node) failed() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// fail ends all recording on this node for good, because the disk may have lost bytes that it did not confirm.
func (n *Node) fail(cause error) {
	n.mu.Lock()
	first := n.err == nil
	if first {
		n.err = errDisk.Because(cause)
	}
	open := n.recordings()
	n.mu.Unlock()
	if !first {
		return
	}
	n.cfg.Log.Error("the disk of the recordings failed; nothing is recorded from here on", slog.Any("error", cause))
	for _, r := range open {
		r.fail(n.failed())
	}
	n.poke()
}

// recordings copies the set of the open ones. The caller holds n.mu.
func (n *Node) recordings() []*Recording {
	out := make([]*Recording, 0, len(n.open))
	for r := range n.open {
		out = append(out, r)
	}
	return out
}

func (n *Node) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.open)
}

func (n *Node) forget(r *Recording) {
	n.mu.Lock()
	delete(n.open, r)
	n.mu.Unlock()
}

// Close stops recording. Recordings that are still open remain without a close, and the next start reports them as
// interrupted.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	again := n.closing
	n.closing = true
	open := n.recordings()
	n.mu.Unlock()
	if again {
		return nil
	}
	for _, r := range open {
		r.fail(errClosing)
	}
	close(n.quit)
	stopped := make(chan struct{})
	go func() { n.done.Wait(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("close recorder: the disk is still busy: %w", context.Cause(ctx))
	}
	return n.finish()
}

// finish makes everything durable in its place, so that the next start has nothing to copy.
func (n *Node) finish() error {
	defer n.held.Close()
	if err := n.failed(); err != nil {
		return errors.Join(err, n.jr.f.Close())
	}
	return errors.Join(n.jr.empty(), n.jr.f.Close())
}

// Progress has figures about a node for metrics and health checks.
type Progress struct {
	Open    int   // recordings
	Pending int64 // bytes that are not durable yet
	Free    int64 // bytes on the disk; negative: unknown
}

// Progress gives the node's current figures.
func (n *Node) Progress() Progress {
	free, err := n.vol.layer.free(n.vol.dir)
	if err != nil {
		free = -1
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return Progress{Open: len(n.open), Pending: n.pending, Free: free}
}
