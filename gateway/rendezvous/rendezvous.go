// Package rendezvous is where devices are met. Each holds one quiet control line here; to open a session the gateway
// asks over that line, the device checks everything itself and dials back a second connection with plain SSH inside.
//
// # One goroutine a line
//
// Ten thousand idle devices are the normal case, so an idle line costs a WebSocket, two cipher states and one goroutine
// that reads. The handler of the upgrade returns, the handshake runs in a goroutine of its own whose grown stack
// is given back, and everything that writes to a line does so from whoever has something to say.
//
// # Who is believed
//
// TLS and whatever stands in front are transport. A device is the static key that a Noise handshake proved *and* the host key that
// the database holds with it; a session line is the holder of that host key, shown in the SSH handshake. A ticket only
// says which waiting session a connection is for. A stolen one gets its thief a handshake that fails, and the device still connects.
//
// # What is limited
//
// Lines that have proven nothing: per source address and in all, and ten seconds each. What has proven itself is not
// limited by address, because a plant's devices stand behind one; a device that talks too much is read more slowly.
package rendezvous

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Store is what the registry keeps rows in.
type Store interface {
	DeviceByNoise(ctx context.Context, key [32]byte) (store.Device, error)
	DeviceByFP(ctx context.Context, fp [32]byte) (store.Device, error)
	ChangeDevice(ctx context.Context, fp [32]byte, change func(*store.Device) error,
		events ...store.AuditEvent) (store.Device, error)
	// SetPresences stores many at once: after a restart thousands of devices come back within seconds.
	SetPresences(ctx context.Context, all map[[32]byte]store.Presence) error
	DisconnectAll(ctx context.Context, node string, when time.Time) (int, error)
	Session(ctx context.Context, sid id.Session) (store.Session, error)
}

// Signer is the part of the signer that speaks to devices.
type Signer interface {
	Status(ctx context.Context, device wire.Hash, nonce []byte) (wire.Signed, error)
	Bundle(ctx context.Context) (wire.Signed, error)
	Head(ctx context.Context) ([]byte, error)
	Prove(ctx context.Context, index, size uint64) ([]wire.Hash, error)
	ProveConsistency(ctx context.Context, from, to uint64) ([]wire.Hash, error)
}

// Office redeems join codes. *enroll.Office is one.
type Office interface {
	Redeem(ctx context.Context, j enroll.Joiner) (enroll.Joined, error)
}

// Auditor writes events into the evidence. *audit.Log is one.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
	Regardless(ctx context.Context, e audit.Event, write func(event ...store.AuditEvent) error) (logged, written error)
}

// Config is what a registry is made of.
type Config struct {
	NoiseKey wire.NoiseKey
	Signer   Signer
	Store    Store
	Office   Office  // nil: nobody can enrol
	Audit    Auditor // nil: only logged
	Node     string  // this gateway's name among several
	Host     string  // the bundle's host that this node answers: where devices dial back
	NoTLS    bool    // TLS does not end here: no channel binding, the tunnel is "unterminated"
	Ping     time.Duration
	// ClientAddr says whom a request is from; default: the connection's other end.
	ClientAddr func(*http.Request) netip.Addr
	// Online is called with devices that are online, after that was stored. nil: nobody wants to know.
	Online func(ctx context.Context, devices []wire.Hash)
	Log    *slog.Logger
	Now    func() time.Time
}

// Times and limits of the protocol.
const (
	defaultPing   = 30 * time.Second
	leastSilence  = 45 * time.Second // before a silent control line is closed, at the default interval
	missed        = 3                // keepalives of a session line that may stay unanswered
	sendTime      = 10 * time.Second // for one message to leave
	probeTime     = 3 * time.Second  // for the first line of a key to answer when a second comes up
	maxLines      = 4                // of one key, while it is disputed
	messageRate   = 20               // messages a second that a device is read at
	nonceAge      = 15 * time.Minute // of the nonce under an open's status
	ticketTime    = 30 * time.Second // from accepted
	maxTries      = 3                // of a ticket from the device's own address, and as many from elsewhere
	maxOpening    = 50               // sessions being opened on one device
	bundleEvery   = time.Minute
	witnessEvery  = 5 * time.Minute // how often an idle device is given a later head of the log
	keepAliveTime = 10 * time.Second
)

// Registry knows the lines. Control and Session are its doors.
type Registry struct {
	cfg     Config
	sources *sources
	flips   *flips // of freezing
	tunnels *flips // of what is between
	reports *flips // limits the reports on survivors
	count   counters

	noise  *wire.Responder // since Run
	bundle atomic.Pointer[bundle]
	head   atomic.Pointer[head]

	handshake time.Duration // a test shortens it
	probe     time.Duration
	keepAlive time.Duration

	ctx   context.Context // of everything that outlives a request; ends when Run does
	stop  context.CancelCauseFunc
	lines sync.WaitGroup // one for each goroutine of a line or session line

	disputing sync.Mutex // held while a dispute is logged and stored; taken without mu

	mu       sync.Mutex // guards what follows
	open     bool       // Run has begun and not ended
	devices  map[wire.Hash]*device
	cuts     uint64               // counts Cut, so that a handshake which began before one does not survive it
	cutAt    map[wire.Hash]uint64 // by device: the value of cuts then
	fleet    int                  // devices that were here when it stopped serving; 0: not known
	calls    map[id.Session]*call
	renewals map[renewalKey]*renewal
	tickets  map[[sha256.Size]byte]*call
	changed  map[[32]byte]store.Presence // to be stored
	met      map[wire.Hash]bool          // devices that have had a control line in this process
	outdated map[wire.Hash]bool          // devices whose agent was refused because of its version
	kick     chan struct{}
}

// New makes a registry. It answers once Run has begun.
func New(cfg Config) *Registry {
	if cfg.Ping == 0 {
		cfg.Ping = defaultPing
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClientAddr == nil {
		cfg.ClientAddr = remoteAddr
	}
	r := &Registry{cfg: cfg, sources: newSources(), flips: newFlips(), tunnels: newFlips(), reports: newFlips(), handshake: wire.HandshakeTime, probe: probeTime, keepAlive: keepAliveTime,
		devices: map[wire.Hash]*device{}, cutAt: map[wire.Hash]uint64{}, calls: map[id.Session]*call{}, renewals: map[renewalKey]*renewal{}, tickets: map[[sha256.Size]byte]*call{},
		changed: map[[32]byte]store.Presence{}, met: map[wire.Hash]bool{}, outdated: map[wire.Hash]bool{}, kick: make(chan struct{}, 1)}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	return r
}

var errDrain = errors.New("the gateway is about to restart")

// Run serves until ctx ends, then sends every device away for a moment and waits until all lines are gone.
func (r *Registry) Run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	var own sync.WaitGroup
	writing, written := context.WithCancel(context.WithoutCancel(ctx))
	own.Go(func() { r.writePresence(writing) })
	r.watchBundle(ctx)
	r.drain()
	r.lines.Wait()
	written()
	own.Wait()
	return nil
}

func (r *Registry) begin(ctx context.Context) error {
	if _, err := r.cfg.Store.DisconnectAll(ctx, r.cfg.Node, r.cfg.Now()); err != nil {
		return err
	}
	if _, err := r.loadBundle(ctx); err != nil {
		return err
	}
	if _, _, err := wire.SplitHost(r.cfg.Host); err != nil {
		return err
	}
	if !r.bundle.Load().parsed.HasHost(r.cfg.Host) {
		return fmt.Errorf("host %s is not in the trust bundle, so no device would dial it", r.cfg.Host)
	}
	noise, err := wire.NewResponder(r.cfg.NoiseKey)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.noise, r.open = noise, true
	r.mu.Unlock()
	return nil
}

// drain closes all lines and tells each device when to come back: within a few seconds, later in a large fleet.
func (r *Registry) drain() {
	r.mu.Lock()
	r.open, r.fleet = false, len(r.devices)
	within := spread(r.fleet)
	var all []*line
	for _, d := range r.devices {
		all = append(all, d.lines...)
	}
	r.failCalls(func(*call) bool { return true }, unavailable("the gateway is about to restart and starts no new sessions", "Try again in a minute."))
	r.mu.Unlock()
	r.stop(errDrain)
	var wg sync.WaitGroup
	for part := range closers {
		wg.Go(func() {
			for i := part; i < len(all); i += closers {
				all[i].close(closeRestart, fmt.Sprintf("retry-after=%d", retryAfter(within)))
			}
		})
	}
	wg.Wait()
}

// closers close lines side by side, since a stuck one takes a second.
const closers = 64
