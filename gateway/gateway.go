// Package gateway starts sessions and supervises them. Every frontend (browser, command line, later stock ssh) uses the
// one Broker, so every session goes through the same steps:
//
//	decide → record ready → announce in the log → device agrees and dials back → splice → close
//
// # The two walks
//
// A typed byte comes in through Channel.Write and goes to package sessionline. The recorder seals it and confirms
// that it is durable. Only then does it go to the device. Channel.pump reads an output byte from the session line.
// The recorder confirms that it is durable, and only then does the frontend's Sink get it. There is no other path for
// either.
//
// # Session and channels
//
// A session is one technician on one device as one login, under one pass at a time. It carries channels, one for each
// program. Each channel is decided, recorded, started and ended by itself. The session begins with its first channel
// and ends when none is left.
//
// # Ending
//
// A session ends for one reason, the cancel cause of its context. The first reason wins. From then on no byte passes in
// either direction, the device is told, the recording is closed, and the log gets the close leaf.
//
// # What is decided again
//
// The policy decides when a session opens. After every change of policy, labels, device or membership it decides again
// on every live session (Revalidate). The signer decides for itself before it signs, and the device checks the pass.
package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
)

// Store has the broker's rows.
type Store interface {
	Device(ctx context.Context, name id.Device) (store.Device, error)
	Devices(ctx context.Context, f store.DeviceFilter) ([]store.Device, int, error)
	Principal(ctx context.Context, p id.Principal) (store.Principal, error)
	AddDecided(ctx context.Context, s store.Session, d store.Decision, events ...store.AuditEvent) error
	AddDecision(ctx context.Context, d store.Decision, events ...store.AuditEvent) error
	Session(ctx context.Context, sid id.Session) (store.Session, error)
	ChangeSession(ctx context.Context, sid id.Session, change func(*store.Session) error) (store.Session, error)
	RunningSessions(ctx context.Context) ([]store.Session, error)
	AddPart(ctx context.Context, p store.Part) error
	AddPass(ctx context.Context, p store.Pass) error
	Part(ctx context.Context, sid id.Session, n uint32) (store.Part, error)
	ChangePart(ctx context.Context, sid id.Session, n uint32, change func(*store.Part) error) (store.Part, error)
	ChangeRecorded(ctx context.Context, sid id.Session, n uint32, change func(*store.Session, *store.Part) error) error
	// UnclosedParts gives the recordings whose end is not in the log.
	UnclosedParts(ctx context.Context) ([]store.Part, error)
	// Ping returns nil if the database would accept a write.
	Ping(ctx context.Context) error
}

// Config has the parts and limits of a broker.
type Config struct {
	Signer   signer.Signer
	Rules    *Rules
	Store    Store
	Lines    Lines
	Recorder recorder.Recorder
	Key      []byte // public half of the record key
	Audit    *audit.Log
	Node     string
	// Limits on live sessions, counting those being opened; zero: none.
	PerPerson, PerDevice int
	AskTime              time.Duration // how long an answer to Ask may be redeemed; default 30 s
	// FreezeAfter is the silence of the database after which input waits, and EndAfter that after which sessions end.
	// Defaults: 5 s and 30 s.
	FreezeAfter, EndAfter time.Duration
	// GrantUsed, if set, is told when a session is first decided by a grant, so that the grant's row shows what was done.
	GrantUsed     func(ctx context.Context, session id.Session, grant string)
	ProgressEvery time.Duration // how often the log is told how far a recording is; default 5 min
	CloseTime     time.Duration // bounds the last writes of a session before they are retried; default 20 s
	Now           func() time.Time
	Log           *slog.Logger
}

// Broker is the only way to start a session.
type Broker struct {
	cfg     Config
	started time.Time
	frozen  atomic.Pointer[chan struct{}] // closed when input may pass again; nil: input may pass

	mu        sync.Mutex           // guards what follows
	deciding  map[id.Session]place // places of sessions whose decision Ask is storing
	asked     map[id.Session]asked
	live      map[id.Session]*Session
	unsettled []unwritten
	drain     bool
	ended     sync.WaitGroup // one for each session that has been opened
}

// Ask is a request for a session, with evidence of who the caller is.
type Ask struct {
	Evidence   signer.Evidence
	Person     authz.Person
	SignedInAt time.Time // of the web session; zero: not known
	Key        string    // names the web session or API token, so that signing out ends the sessions that it opened
	Device     id.Device
	Login      string            // empty: the only login that the caller may use
	Start      sessionline.Start // of the first channel
	Purpose    string
	Ticket     string
	Front      string // browser, cli or ssh
	ClientAddr netip.Addr
	ViaToken   string // id of the API token; empty: a person signed in
}

// Sink is the frontend's side of a channel. It gets bytes only after they are durable. If Output blocks, the device
// stops sending.
type Sink interface {
	Output(stream format.Stream, p []byte) error // at most 32 KiB at once
	Notice(kind, text string)
}

type asked struct {
	ask    Ask
	device store.Device
	action authz.Action
	grant  string    // that allowed it; empty: a rule did
	until  time.Time // of the answer, not of the session
}

// New makes a broker.
func New(cfg Config) *Broker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.AskTime == 0 {
		cfg.AskTime = 30 * time.Second
	}
	cfg.FreezeAfter, cfg.EndAfter = cmp.Or(cfg.FreezeAfter, freezeAfter), cmp.Or(cfg.EndAfter, endAfter)
	cfg.ProgressEvery = cmp.Or(cfg.ProgressEvery, progressEvery)
	cfg.CloseTime = cmp.Or(cfg.CloseTime, closeTime)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Broker{cfg: cfg, started: cfg.Now(), deciding: map[id.Session]place{},
		asked: map[id.Session]asked{}, live: map[id.Session]*Session{}}
}

// Live is one running session, as other people may see it.
type Live struct {
	Session id.Session
	Device  id.Device
	Who     id.Principal
	Started time.Time
	Until   time.Time
}

// Live lists the running sessions.
func (b *Broker) Live() []Live {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Live, 0, len(b.live))
	for _, s := range b.live {
		out = append(out, Live{s.id, s.ask.Device, s.ask.Person.ID, s.started, s.until})
	}
	return out
}

// LiveSessions counts the sessions, opening ones included.
func (b *Broker) LiveSessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.live)
}

// LiveOn counts the sessions on a device, opening ones included.
func (b *Broker) LiveOn(device id.Device) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, s := range b.live {
		if s.ask.Device == device {
			n++
		}
	}
	return n
}
