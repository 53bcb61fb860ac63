package store

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/id"
)

// States of a session, in order; see the architecture's "Session life".
const (
	Asked     = "asked"
	Decided   = "decided"
	Announced = "announced"
	Dialled   = "dialled"
	Live      = "live"
	Held      = "held"
	Ended     = "ended"
	Closed    = "closed"
	Archived  = "archived"
	Refused   = "refused" // by policy, recorder or device; nothing ran
)

// States of a session's record.
const (
	RecordNone     = ""
	RecordRunning  = "recording"
	RecordComplete = "complete"
	RecordGap      = "gap"
	RecordCut      = "cut"
	RecordMissing  = "missing"
)

// Session is one technician on one device under one login.
type Session struct {
	ID            id.Session
	Device        id.Device
	DeviceFP      [32]byte
	Site          string
	Principal     id.Principal
	PrincipalName string
	Login         string
	Action        string
	Argv          []string
	PTY           bool
	State         string
	Asked         time.Time
	Started       time.Time
	Ended         time.Time
	Until         time.Time // hard stop of the pass
	EndReason     string
	Purpose       string
	Ticket        string
	Rule          string
	ViaToken      string // id of the API token; empty: a person signed in
	Front         string // browser, cli or ssh
	ClientAddr    string
	Node          string
	PolicySHA     [32]byte
	ExitStatus    *int
	ExitSignal    string
	BytesIn       int64
	BytesOut      int64
	HiddenRanges  int64
	Gaps          int64
	Record        string
	Grant         string // by which it was decided; not in the row, see UseGrant
}

// SessionFilter narrows a listing; zero fields mean any. With Before the listing goes on from that session
// (keyset) and Page.Number is ignored.
type SessionFilter struct {
	Text      string // part of device, user, login, purpose or ticket
	Device    id.Device
	Principal id.Principal
	User      string         // a user's subject, whole, or the beginning of words of their name; small and large letters are one
	Users     []id.Principal // with User: these people as well
	Sites     []string       // any of these; nil: any site. Empty but not nil: none
	Sight     *Sight         // what the asker may see; nil: everything
	States    []string
	Grant     string    // only those under this grant
	Recorded  bool      // only those that have a part
	From      time.Time // asked at or after
	To        time.Time // asked before
	Before    id.Session
	Page      Page
}

// Sight is what somebody may see who may not see everything: their own sessions and those at certain sites.
type Sight struct {
	Principal id.Principal
	Token     string // id of the API token of a machine: of the principal's, its maker's, only those that it opened itself
	Sites     []string
}

// Part is one container of a session's recording. What its leaves commit to (first hash of the slot files, reason of
// the end, …) is in the log, and is not stored twice.
type Part struct {
	Session   id.Session
	Part      uint32
	H0        [32]byte
	OpenLeaf  *uint64
	Pass      []byte
	Asker     []byte // statement of who asked, which the open leaf commits to
	CloseLeaf *uint64
	HFinal    [32]byte
	Seq       uint32
	Bytes     int64
	Started   time.Time
	Ended     time.Time
	Retain    time.Time // promised by its open leaf: it is kept at least until then
	State     string    // as for a session's record
}

// Pass is a pass of a part after its first one, which stands in the part itself.
type Pass struct {
	Session id.Session
	Part    uint32
	N       uint32 // its number in the part: 1, 2, …
	Leaf    uint64 // index of the pass leaf that announces it
	Pass    []byte
}

// Retained sums up the recordings of one class whose retention time ends in one month. It is what the rows say: the log
// is not read.
type Retained struct {
	Class      string // routine; running: the row has no end; unannounced: it has no open leaf
	Month      string // 2026-01; empty: the row has no promise
	Recordings int
	Bytes      int64     // 0 for a recording without an end
	Oldest     time.Time // when the oldest began
	First      time.Time // the earliest end of a retention time
	Due        int       // recordings whose retention time is over
	DueBytes   int64     // size of their containers
}

// Decision is one answer of authz with what it was made from.
type Decision struct {
	ID        int64
	At        time.Time
	Principal id.Principal
	Device    id.Device
	Action    string
	Allowed   bool
	Rule      string
	Text      string // the reason as shown
	PolicySHA [32]byte
	Session   id.Session // zero: none came of it
	Inputs    []byte     // JSON: groups, labels, address, second factor, sessions at once
}

// DecisionFilter narrows a listing; zero fields mean any.
type DecisionFilter struct {
	Principal id.Principal
	Device    id.Device
	Session   id.Session
	Refused   bool // only refusals
	From      time.Time
	Before    int64 // keyset: ids below this
	Limit     int
}

// PolicyVersion is one applied policy.
type PolicyVersion struct {
	Version int
	SHA256  [32]byte
	Files   []PolicyFile
	By      string
	Reason  string
	At      time.Time
}

// PolicyFile is one file of it.
type PolicyFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// AuditEvent is the searchable copy of an event in the log.
type AuditEvent struct {
	ID      int64
	At      time.Time
	Type    string
	Phase   string // begun, done or failed
	Actor   string
	Subject string
	Addr    string
	Leaf    uint64
	Body    []byte
}

// AuditFilter narrows a listing; zero fields mean any.
type AuditFilter struct {
	Type    string
	Actor   string
	Subject string
	Text    string // part of actor, subject or body
	From    time.Time
	To      time.Time
	Before  int64  // keyset: ids below this
	Leaf    uint64 // entries of the log below this; 0: any
	Limit   int
}

// Listed is a session as a listing has it: of what is long the beginning, and then an ellipsis.
func (s Session) Listed() Session {
	s.Action, _ = beginning(s.Action, MaxListed)
	left := MaxListed
	for i, word := range s.Argv {
		cut, whole := beginning(word, left)
		if i == mostWords {
			cut, whole = "…", false
		}
		if !whole {
			s.Argv = append(slices.Clone(s.Argv[:i]), cut)
			break
		}
		left -= len(word)
	}
	return s
}

// mostWords of a command are listed whole.
const mostWords = 64

func beginning(text string, most int) (out string, whole bool) {
	if len(text) <= most {
		return text, true
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…", false
}
