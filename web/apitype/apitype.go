// Package apitype holds the JSON bodies of the HTTP API (`/api/v1`). The server, the command line and the
// generated TypeScript client all take them from here, so a field has one name and one meaning. It imports nothing but
// the names of things: the command line is built without cgo for three systems.
//
// Times are RFC 3339 in UTC with microseconds at most; an absent time means never, and so does a null in a
// session's started and ended, which are there in every row. Lists are newest first.
//
// What stands here, somebody outside relies on: a field is added, never given another meaning. And whoever may see a thing
// sees all of its body, so what only some may see has a body of its own.
package apitype

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Problem is an RFC 9457 problem document. Detail says what happened and why, Hint what to do next.
type Problem struct {
	Type      string   `json:"type,omitempty"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail"`
	Reason    string   `json:"reason" doc:"a stable word for programs: denied, signin, not-found, conflict, usage, too-many, unavailable, internal"`
	Hint      string   `json:"hint,omitempty"`
	Reference string   `json:"reference,omitempty"`
	CanAsk    []Way    `json:"can_ask,omitempty"`
	StepUp    bool     `json:"step_up,omitempty" doc:"signing in again with a second factor would help"`
	Errors    []Detail `json:"errors,omitempty"`

	RetryAfter int `json:"-"` // seconds, for the header of that name; 0: not known
}

// Detail is one thing wrong with a request.
type Detail struct {
	Where   string `json:"where,omitempty"`
	Message string `json:"message"`
}

// Way is one way in that a refusal names.
type Way struct {
	Rule      string `json:"rule"`
	Text      string `json:"text"`
	Emergency bool   `json:"emergency,omitempty"`
}

// Me is who asks.
type Me struct {
	Name           string     `json:"name"`
	Issuer         string     `json:"issuer"`
	Subject        string     `json:"subject"`
	Provider       string     `json:"provider"`
	Groups         []string   `json:"groups"`
	Roles          []string   `json:"roles" doc:"technician, approver, owner, officer, admin"`
	Duties         []string   `json:"duties" doc:"administer, approve, review, unseal, own"`
	Via            string     `json:"via" doc:"web, cli or token"`
	SignedInAt     *time.Time `json:"signed_in_at,omitempty"`
	SecondFactorAt *time.Time `json:"second_factor_at,omitempty"`
	Expires        time.Time  `json:"expires"`
	NoRefresh      bool       `json:"no_refresh,omitempty" doc:"no refresh token, so the sign-in is short"`
	SiteName       string     `json:"site_name"`
	Demo           bool       `json:"demo,omitempty"`
	Mail           bool       `json:"mail,omitempty" doc:"the gateway can send the caller mail, as far as it knows"`
}

// SignIn is what the sign-in page shows before anybody is known.
type SignIn struct {
	SiteName  string     `json:"site_name"`
	Notice    []string   `json:"notice" doc:"four lines: sessions are recorded"`
	Providers []Provider `json:"providers"`
	Demo      bool       `json:"demo,omitempty"`
}

// Provider is one way to sign in; Start is the address to go to.
type Provider struct {
	Name    string `json:"name"`
	ShownAs string `json:"shown_as"`
	Start   string `json:"start"`
}

// Right is one thing somebody may do on a device now, or may ask for.
type Right struct {
	Action     string     `json:"action" doc:"action word: shell:svc"`
	Login      string     `json:"login,omitempty"`
	Text       string     `json:"text"`
	Rule       string     `json:"rule"`
	Role       string     `json:"role,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
	MaxSeconds int64      `json:"max_seconds,omitempty" doc:"how long a session lasts at most, also where the right has no end"`
	Open       []string   `json:"open,omitempty" doc:"what is still wanted before it helps"`

	// Of what can be asked for with a request.
	AskMinutes int      `json:"ask_minutes,omitempty" doc:"for how long at most it can be asked for; 0: it cannot be asked for"`
	AskFor     []string `json:"ask_for,omitempty" doc:"what must be given: reason, ticket"`
	Agree      []Need   `json:"agree,omitempty" doc:"who must agree"`
	Emergency  bool     `json:"emergency,omitempty" doc:"under an emergency rule: people are told, and it is reviewed"`
}

// Work is one device on My work.
type Work struct {
	Device   Device    `json:"device"`
	CanOpen  []Right   `json:"can_open"`
	CanAsk   []Right   `json:"can_ask"`
	Refused  string    `json:"refused,omitempty" doc:"why nothing can be opened now"`
	Sessions []Session `json:"sessions,omitempty" doc:"own live sessions there"`
}

// MyWork is the first page.
type MyWork struct {
	Devices []Work    `json:"devices"`
	Recent  []Session `json:"recent"`
}

// Device is an enrolled machine.
type Device struct {
	Name        id.Device         `json:"name"`
	Site        string            `json:"site"`
	Labels      map[string]string `json:"labels"`
	State       string            `json:"state" doc:"waiting, ok, locked, revoked, disputed"`
	Online      bool              `json:"online"`
	LastSeen    *time.Time        `json:"last_seen,omitempty"`
	Frozen      bool              `json:"frozen,omitempty"`
	Tunnel      string            `json:"tunnel,omitempty" doc:"tls, unterminated or intercepted"`
	Fingerprint string            `json:"fingerprint,omitempty" doc:"SHA256:… of the SSH host key"`
	Serial      string            `json:"serial,omitempty"`
	HostName    string            `json:"host_name,omitempty"`
	OS          string            `json:"os,omitempty"`
	Agent       string            `json:"agent,omitempty"`
	Address     string            `json:"address,omitempty"`
	EnrolledAt  *time.Time        `json:"enrolled_at,omitempty"`
	AdmittedAt  *time.Time        `json:"admitted_at,omitempty"`
	AdmittedBy  string            `json:"admitted_by,omitempty"`
	Why         string            `json:"why,omitempty" doc:"why it is in this state"`
	ClockSkewMS int64             `json:"clock_skew_ms,omitempty" doc:"how far ahead its own clock was when its line came up; nothing is decided by it"`
	Problems    []string          `json:"problems,omitempty" doc:"why nobody can reach it: what its labels lack, and an agent that must be updated; one sentence each"`
	Outdated    bool              `json:"outdated,omitempty" doc:"it is offline because its agent speaks an earlier version of the control protocol"`
	Live        int               `json:"live" doc:"sessions running on it"`
	LogSize     uint64            `json:"log_size,omitempty" doc:"of the log, as the device last accepted it"`
	TellOnline  bool              `json:"tell_online,omitempty" doc:"only where one device is asked for: the caller gets a mail when it is online"`
}

// Admit lets a waiting device in. Empty fields keep what the join code said.
type Admit struct {
	Name        string            `json:"name,omitempty"`
	Site        string            `json:"site,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Fingerprint string            `json:"fingerprint,omitempty" doc:"refused if the device's is another"`
}

// Reason is a body that only says why.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// Labels sets a device's labels: those named; an empty value removes one.
type Labels struct {
	Labels map[string]string `json:"labels"`
}

// EnrollTokenNew asks for a join code.
type EnrollTokenNew struct {
	Name         string            `json:"name,omitempty" doc:"what the device will be called; empty: its own host name"`
	Site         string            `json:"site,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Uses         *int              `json:"uses,omitempty" doc:"1 to 10000; default 1"`
	TTLSeconds   *int64            `json:"ttl_seconds,omitempty" doc:"60 to 2592000, which is 30 days; default 3600"`
	ExpectSerial string            `json:"expect_serial,omitempty"`
}

// EnrollToken is a join code's row. Code is there once, in the answer that makes it.
type EnrollToken struct {
	ID           string            `json:"id"`
	Code         string            `json:"code,omitempty"`
	Command      string            `json:"command,omitempty" doc:"the line to paste on the device"`
	Name         string            `json:"name,omitempty"`
	Site         string            `json:"site,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Uses         int               `json:"uses"`
	UsesLeft     int               `json:"uses_left"`
	Created      time.Time         `json:"created"`
	CreatedBy    string            `json:"created_by"`
	Expires      time.Time         `json:"expires"`
	Revoked      *time.Time        `json:"revoked,omitempty"`
	ExpectSerial string            `json:"expect_serial,omitempty"`
	UsedBy       []string          `json:"used_by,omitempty"`
}
