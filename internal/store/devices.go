package store

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// DeviceState is what the gateway says about a device. Frozen is not among them: that is the owner's word,
// kept by the device itself; see Device.Frozen.
type DeviceState string

// The states.
const (
	Waiting  DeviceState = "waiting"  // enrolled, nobody has admitted it
	OK       DeviceState = "ok"       // admitted
	Locked   DeviceState = "locked"   // no sessions until unlocked
	Revoked  DeviceState = "revoked"  // for good; its keys are worth nothing
	Disputed DeviceState = "disputed" // two lines of one key, or a stale generation: no sessions until re-admitted
)

// Device is one enrolled key pair. FP, the hash of its SSH host key, is its identity; Name is what people
// type, unique among those not revoked.
type Device struct {
	FP         [32]byte
	Name       id.Device
	Site       string
	Labels     map[string]string
	State      DeviceState
	StateAt    time.Time
	StateBy    string
	StateWhy   string
	HostKey    []byte // SSH wire form
	NoiseKey   [32]byte
	Generation uint32
	Renewing   bool // Generation+1 was given out and is not confirmed
	Serial     string
	HostName   string
	OS         string
	Agent      string // version
	Protocol   int    // version of the control protocol that the agent spoke last; 0: not known
	JoinToken  [16]byte
	EnrolledAt time.Time
	AdmittedBy string
	AdmittedAt time.Time
	Dispute    *Dispute

	// Presence: written when a line comes up and goes down, not at heartbeats.
	LastSeen    time.Time
	LastAddr    string
	ConnectedAt time.Time // zero: no line
	Node        string
	Boot        string
	Tunnel      string // tls, unterminated or intercepted
	Frozen      bool
	ClockSkew   time.Duration
	Epoch       uint64
	LogSize     uint64 // of the log, as the device last accepted it
}

// Online reports whether a control line is up.
func (d Device) Online() bool { return !d.ConnectedAt.IsZero() }

// Dispute is what somebody needs to see before they admit the device again.
type Dispute struct {
	At    time.Time `json:"at"`
	Why   string    `json:"why"`
	Lines []Line    `json:"lines"`
}

// Line is one control line as a dispute shows it.
type Line struct {
	Addr       string `json:"addr"`
	Boot       string `json:"boot"`
	Generation uint32 `json:"generation"`
}

// Presence is what a line's coming or going changes.
type Presence struct {
	At        time.Time
	Connected bool
	Addr      string
	Node      string
	Boot      string
	Agent     string
	Protocol  int // 0: not known
	Tunnel    string
	Frozen    bool
	ClockSkew time.Duration
	Epoch     uint64
	LogSize   uint64
}

// DeviceFilter narrows a listing; zero fields mean any.
type DeviceFilter struct {
	Text   string // part of name, site or serial, or of a label's value
	Site   string
	Sites  []string // any of these; nil: any site. Empty but not nil: none
	States []DeviceState
	Page   Page
}

// JoinToken lets devices enrol. The code's secret is kept as its hash only.
type JoinToken struct {
	ID         [16]byte
	SecretHash [32]byte
	Name       string // suggested device name; empty: the device's own
	Site       string
	Labels     map[string]string
	Uses       int
	UsesLeft   int
	Created    time.Time
	CreatedBy  string
	Expires    time.Time
	Serial     string // expected serial; empty: any
	BundleHash [32]byte
	Revoked    time.Time
	RevokedBy  string
	Used       []JoinUse // newest first
}

// JoinUse is one redemption.
type JoinUse struct {
	At   time.Time
	FP   [32]byte
	Name id.Device
	Addr string
}

// Joining is what a redemption sees inside its transaction.
type Joining struct {
	Token JoinToken
	// Known is the device that already has this fingerprint or Noise key, if any.
	Known *Device
	// Taken reports whether a device that is not revoked has this name.
	Taken func(id.Device) (bool, error)
}

// Joined is what a redemption decided: the device to store, or Again when the same device came back with
// its own code because the first answer was lost; then nothing is written.
type Joined struct {
	Device Device
	Again  bool
}

// Bundle is one published trust bundle, as its exact bytes.
type Bundle struct {
	Serial uint64
	Body   []byte
	Sig    []byte
	Hash   [32]byte // of Body: what a join code pins
	At     time.Time
}
