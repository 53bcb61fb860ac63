package apitype

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Request is a request for a right on a device.
type Request struct {
	ID        string     `json:"id"`
	Device    id.Device  `json:"device"`
	Site      string     `json:"site,omitempty"`
	Login     string     `json:"login" doc:"of the terminal or command that was asked for; empty: none"`
	Rule      string     `json:"rule"`
	Actions   []string   `json:"actions" doc:"action words, as the policy writes them"`
	Minutes   int        `json:"minutes" doc:"how long, starting with the last approval"`
	Reason    string     `json:"reason"`
	Ticket    string     `json:"ticket,omitempty"`
	State     string     `json:"state" doc:"pending; approved: all approvals were given, it is a grant; used: a session was opened under it; denied; withdrawn; expired"`
	Needs     []Need     `json:"needs" doc:"who must approve; empty if the rule needs no approval or was removed"`
	By        string     `json:"by" doc:"who asked"`
	Subject   string     `json:"subject"`
	Via       string     `json:"via" doc:"web or token"`
	Address   string     `json:"address,omitempty"`
	Approvers []string   `json:"approvers"`
	Grant     *string    `json:"grant" doc:"id of the grant that came of it"`
	Created   time.Time  `json:"created"`
	Expires   time.Time  `json:"expires" doc:"while it is pending"`
	Decided   *time.Time `json:"decided"`
	Ends      *time.Time `json:"ends" doc:"end of the grant: its time is up, or it was withdrawn"`
	Answered  string     `json:"answered_by,omitempty" doc:"who denied or withdrew it"`
	Answer    string     `json:"answer,omitempty" doc:"in their words"`
	Mine      bool       `json:"mine"`
	MayAnswer bool       `json:"may_answer" doc:"whether the caller can approve or deny it now"`

	Emergency bool    `json:"emergency" doc:"granted under an emergency rule"`
	Review    *Review `json:"review" doc:"of an emergency grant"`

	MayWithdraw bool `json:"may_withdraw" doc:"whether the caller can take it back, or take the grant away, now"`
}

// Review is what an officer says about an emergency grant.
type Review struct {
	Due       time.Time  `json:"due"`
	Overdue   bool       `json:"overdue"`
	At        *time.Time `json:"at" doc:"when it was reviewed; null: not yet"`
	By        string     `json:"by,omitempty"`
	Note      string     `json:"note,omitempty" doc:"in their words"`
	MayReview bool       `json:"may_review" doc:"whether the caller can review it now"`
}

// ReviewNew is the review of an emergency grant.
type ReviewNew struct {
	Note string `json:"note" minLength:"1" maxLength:"500" doc:"what was found"`
}

// Need is one entry of a rule's agree.
type Need struct {
	From  string `json:"from" doc:"a group, or @owner"`
	Count int    `json:"count"`
	Have  int    `json:"have"`
}

// RequestPage is one page of requests, newest first. Total counts all that match.
type RequestPage struct {
	Requests []Request `json:"requests"`
	Total    int       `json:"total"`
	Page     int       `json:"page"`
	Size     int       `json:"size"`
}

// RequestNew asks for a right: for a role or for actions.
type RequestNew struct {
	Device    string   `json:"device" maxLength:"63"`
	Emergency bool     `json:"emergency,omitempty" doc:"at once, under an emergency rule"`
	Rule      string   `json:"rule,omitempty" maxLength:"63" doc:"empty: the rule that needs the fewest approvals"`
	Role      string   `json:"role,omitempty" maxLength:"63"`
	Actions   []string `json:"actions,omitempty" maxItems:"64" doc:"action words; shell alone is the terminal of login"`
	Login     string   `json:"login,omitempty" maxLength:"32"`
	Minutes   int      `json:"minutes" minimum:"1" maximum:"44640"`
	Reason    string   `json:"reason,omitempty" maxLength:"500"`
	Ticket    string   `json:"ticket,omitempty" maxLength:"64"`
}

// RequestApprove approves in full or in part. Less than was requested changes the request, and earlier approvals become void.
type RequestApprove struct {
	Minutes int      `json:"minutes,omitempty" minimum:"1" maximum:"44640" doc:"0: as asked for"`
	Actions []string `json:"actions,omitempty" maxItems:"64" doc:"empty: as asked for"`
}

// RequestEnd denies or withdraws.
type RequestEnd struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// Grant is an approved request.
type Grant struct {
	ID        string     `json:"id" doc:"of the request that it came of"`
	Device    id.Device  `json:"device"`
	Site      string     `json:"site,omitempty"`
	Login     string     `json:"login"`
	Actions   []string   `json:"actions"`
	Who       string     `json:"who"`
	Subject   string     `json:"subject"`
	Rule      string     `json:"rule"`
	Approvers []string   `json:"approvers"`
	Starts    time.Time  `json:"starts"`
	Ends      time.Time  `json:"ends"`
	State     string     `json:"state" doc:"active, ended or withdrawn"`
	Reason    string     `json:"reason"`
	Ticket    string     `json:"ticket,omitempty"`
	Withdrawn *time.Time `json:"withdrawn"`
	By        string     `json:"withdrawn_by,omitempty"`
	Why       string     `json:"withdrawn_why,omitempty"`
	Mine      bool       `json:"mine"`

	Emergency bool      `json:"emergency" doc:"granted under an emergency rule"`
	Review    *Review   `json:"review" doc:"of an emergency grant"`
	Used      *GrantUse `json:"used,omitempty" doc:"what was done under it; of one grant alone, not in lists"`
}

// GrantUse is what was done under a grant.
type GrantUse struct {
	Sessions []Session `json:"sessions" doc:"the newest that the caller can see"`
	Total    int       `json:"total" doc:"sessions that were opened or went on under it"`
	Seconds  int64     `json:"seconds" doc:"in these sessions, within the time of the grant"`
}

// GrantPage is one page of grants, newest first.
type GrantPage struct {
	Grants []Grant `json:"grants"`
	Total  int     `json:"total"`
	Page   int     `json:"page"`
	Size   int     `json:"size"`
}

// MoreTimeAsk asks for more time in a running session.
type MoreTimeAsk struct {
	Minutes int    `json:"minutes,omitempty" minimum:"0" maximum:"10080" doc:"how long to request, if a request is needed; 0: as long as the session's grant"`
	Reason  string `json:"reason,omitempty" doc:"empty: the reason of the session's grant"`
	Take    bool   `json:"take,omitempty" doc:"only take what is allowed already, and never make a request"`
}

// MoreTime is when a session ends now.
type MoreTime struct {
	Until    time.Time `json:"until" doc:"when the session ends"`
	Extended bool      `json:"extended" doc:"true if the session ends later than before"`
	Request  *Request  `json:"request" doc:"the request for more time; null if none was needed"`
}
