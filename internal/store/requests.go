package store

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// States of a request.
const (
	RequestPending   = "pending"   // somebody has to agree
	RequestApproved  = "approved"  // all have agreed: it is a grant
	RequestUsed      = "used"      // a grant under which a session was opened
	RequestDenied    = "denied"    // somebody who could agree said no
	RequestWithdrawn = "withdrawn" // taken back before all agreed, or a grant that was taken away
	RequestExpired   = "expired"   // nobody answered in time
)

// Request is one question for a right, and the grant that came of it.
type Request struct {
	ID       string // 26 characters of lower-case base32
	Who      id.Principal
	Name     string
	Device   id.Device
	DeviceFP [32]byte
	Site     string
	Rule     string
	Actions  []string // patterns, as the policy writes them
	For      time.Duration
	Reason   string
	Ticket   string
	Address  string // where the request came from
	ViaToken string // id of the API token; empty: a person signed in
	State    string
	Asked    time.Time
	Expires  time.Time // while it is pending

	Approvals []Approval
	Decided   time.Time // when it left pending
	By        string    // who denied it or withdrew it
	Answer    string    // their words

	From  time.Time // of the grant; zero: there is none
	Until time.Time
	Ended time.Time // the grant was withdrawn

	Emergency bool      // granted under an emergency rule, so it must be reviewed
	ReviewBy  time.Time // when the review is due
	Reviewed  time.Time // zero: not yet
	Reviewer  string    // who reviewed it
	Review    string    // in their words
	Reminded  time.Time // the reviewers were told that it is overdue
}

// Approval is one person's agreement to the terms as they were at that time.
type Approval struct {
	Who  id.Principal `json:"who"`
	Name string       `json:"name"`
	For  []string     `json:"for"` // entries of the rule that they can speak for
	At   time.Time    `json:"at"`
}

// RequestFilter narrows a listing; zero fields mean any.
type RequestFilter struct {
	Who       id.Principal
	Device    id.Device
	States    []string
	Granted   bool      // only those that became a grant
	ToReview  bool      // only emergency grants that nobody has reviewed
	EndsAfter time.Time // only grants that end after this
	ID        string
	Sight     *Sight  // what the caller may see, by Principal and Sites; nil: everything
	Answer    *Answer // only what this person can answer
	Page      Page
}

// Answer narrows a listing to pending requests that a person can answer and has not approved. Their own are left out.
type Answer struct {
	By    id.Principal
	At    time.Time // requests that have expired by then are left out
	Rules []AnswerRule
	Sites []string // those that the person owns
}

// AnswerRule is a request rule that names the person as an approver.
type AnswerRule struct {
	Rule    string
	OwnSite bool // only for devices at a site that the person owns
}
