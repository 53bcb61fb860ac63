package apitype

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// TokenNew asks for an API token. It is shown once.
type TokenNew struct {
	Name       string   `json:"name,omitempty" maxLength:"80"`
	Machine    string   `json:"machine,omitempty" doc:"the service identity policy names machine:NAME"`
	Scopes     []string `json:"scopes" doc:"session, and the duties administer, approve, export, review"`
	TTLSeconds int64    `json:"ttl_seconds" doc:"at most 90 days"`
	Network    string   `json:"network,omitempty" doc:"CIDR it is good from"`
}

// Token is an API token's row; Text is there once.
type Token struct {
	ID       string     `json:"id"`
	Text     string     `json:"text,omitempty"`
	Name     string     `json:"name"`
	Machine  string     `json:"machine,omitempty"`
	Scopes   []string   `json:"scopes"`
	Network  string     `json:"network,omitempty"`
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty"`
}

// PolicyFile is one file of a policy.
type PolicyFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// PolicyApply stores a new version.
type PolicyApply struct {
	Files  []PolicyFile `json:"files"`
	Reason string       `json:"reason,omitempty" maxLength:"500"`
}

// Policy is a stored version.
type Policy struct {
	Version int          `json:"version"`
	SHA256  string       `json:"sha256"`
	By      string       `json:"by"`
	Reason  string       `json:"reason"`
	At      time.Time    `json:"at"`
	Files   []PolicyFile `json:"files,omitempty"`
	Words   []PolicyWord `json:"words,omitempty" doc:"each rule as one sentence"`

	ProposedBy  string `json:"proposed_by,omitempty" doc:"only of the version in force: who proposed it, if by confirmed it"`
	Unconfirmed bool   `json:"unconfirmed,omitempty" doc:"only of the version in force: it gave people more, and there was no second administrator"`
}

// PolicyWord is one rule of a policy as a sentence.
type PolicyWord struct {
	Kind string `json:"kind" doc:"policy, groups, duty, label, hours, role, allow, request, require or deny"`
	ID   string `json:"id"`
	Text string `json:"text"`
	Why  string `json:"why,omitempty"`
}

// PolicyRow is what one group or machine has of one role on one class of devices.
type PolicyRow struct {
	Who       string `json:"who" doc:"a group, everyone, or machine:NAME"`
	Role      string `json:"role"`
	Devices   string `json:"devices" doc:"labels that choose them; empty where no rule gives the role"`
	Allow     string `json:"allow" doc:"rules that give it without asking, and when"`
	Ask       string `json:"ask" doc:"rules that let one ask for it, and at what cost"`
	Emergency string `json:"emergency"`
	Must      string `json:"must" doc:"require rules that must hold as well"`
	Never     string `json:"never" doc:"deny rules that take something away"`
	Gives     string `json:"gives" doc:"the role's action words with their logins; empty where no rule gives the role"`
}

// Explanation answers explain.
type Explanation struct {
	Allowed bool     `json:"allowed"`
	Text    string   `json:"text"`
	Nearest string   `json:"nearest,omitempty"`
	Rule    string   `json:"rule,omitempty"`
	CanAsk  []Way    `json:"can_ask,omitempty"`
	Unknown []string `json:"unknown,omitempty" doc:"of somebody else: what is not known here and was not taken as given"`
}

// WhoCan is one row of who-can.
type WhoCan struct {
	User       string     `json:"user" doc:"who it is; empty: nobody of the group is known here yet"`
	Group      string     `json:"group" doc:"the group, everyone, or machine:NAME that a rule names"`
	Action     string     `json:"action"`
	Role       string     `json:"role"`
	How        string     `json:"how" doc:"now, at other times, may ask, or in an emergency; and its terms"`
	Rule       string     `json:"rule"`
	Grant      string     `json:"grant,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
	Conditions []string   `json:"conditions,omitempty" doc:"what must be so as well; nothing of it is taken as given"`
	Except     []string   `json:"except,omitempty" doc:"what deny rules take away of it"`
}

// Site is a customer's place, with the people who own the devices there.
type Site struct {
	Name    string      `json:"name"`
	ShownAs string      `json:"shown_as"`
	Owners  []SiteOwner `json:"owners"`
}

// SiteOwner is an owner of a site.
type SiteOwner struct {
	Name    string `json:"name" doc:"as the provider says it; the subject if the person is not known here"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// SiteOwners changes who owns a site.
type SiteOwners struct {
	Site   string   `json:"site" minLength:"1" maxLength:"200"`
	Add    []string `json:"add,omitempty" maxItems:"20" doc:"people by name, user name, address of mail or subject"`
	Remove []string `json:"remove,omitempty" maxItems:"20"`
}

// AuditEvent is one event.
type AuditEvent struct {
	At      time.Time         `json:"at"`
	Type    string            `json:"type"`
	Phase   string            `json:"phase"`
	Actor   string            `json:"actor"`
	Subject string            `json:"subject"`
	Address string            `json:"address,omitempty"`
	Leaf    uint64            `json:"leaf"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// LogHead is the log as it stands.
type LogHead struct {
	Key        string `json:"key" doc:"verifier key (golang.org/x/mod/sumdb/note)"`
	Checkpoint string `json:"checkpoint"`
	Size       uint64 `json:"size"`
}

// LogProof shows that one head extends another.
type LogProof struct {
	From  uint64   `json:"from"`
	To    uint64   `json:"to"`
	Proof []string `json:"proof" doc:"base64 SHA-256, RFC 6962 section 2.1.2"`
}

// CLIStart begins a CLI sign-in: a loopback redirect with PKCE against the gateway, or the device grant.
type CLIStart struct {
	Provider  string `json:"provider,omitempty"`
	Redirect  string `json:"redirect,omitempty" doc:"http://127.0.0.1:PORT/callback"`
	Challenge string `json:"challenge" doc:"S256 of a verifier that the CLI keeps"`
	State     string `json:"state"`
}

// CLIToken is a CLI sign-in's bearer.
type CLIToken struct {
	Bearer  string    `json:"bearer"`
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// Proposal is a change that gives people more than they have, and that waits for a second administrator.
type Proposal struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind" enum:"policy,labels,owners,groups" doc:"labels includes the site of a device; groups are mappings of the configuration"`
	Subject string     `json:"subject" doc:"the device or the site; empty for policy and groups"`
	By      string     `json:"by"`
	Mine    bool       `json:"mine" doc:"proposed by the caller, who therefore cannot confirm it"`
	Reason  string     `json:"reason,omitempty"`
	At      time.Time  `json:"at"`
	Expires *time.Time `json:"expires,omitempty" doc:"absent: never, the configuration proposes it"`
	Entry   uint64     `json:"entry" doc:"of the log; confirm names it, so that nobody confirms what they have not read"`
	Gains   []Gain     `json:"gains,omitempty" doc:"only of one proposal"`
	Count   int        `json:"count" doc:"of gains"`
	Devices int        `json:"devices" doc:"of the gain that concerns most"`
	People  int        `json:"people,omitempty" doc:"known here that gain something; only of one proposal"`
	Changes []Changed  `json:"changes,omitempty" doc:"what would change; only of one proposal"`
}

// Gain is something that people could do after a change and cannot do now.
type Gain struct {
	Who     string      `json:"who" doc:"a group, everyone, machine:NAME, or a person"`
	What    string      `json:"what" doc:"an action word, or words"`
	How     string      `json:"how" doc:"now, may ask, in an emergency, hours, or words"`
	Rule    string      `json:"rule,omitempty"`
	Devices []id.Device `json:"devices,omitempty" doc:"some of them"`
	More    int         `json:"more,omitempty" doc:"devices that are not listed"`
	Where   string      `json:"where,omitempty" doc:"no device has it yet; labels of those that would"`
}

// ProposalConfirm says what is confirmed.
type ProposalConfirm struct {
	Entry uint64 `json:"entry" doc:"as the proposal says"`
}

// Changed is one thing before and after a change. One of both is empty if it comes or goes.
type Changed struct {
	What   string `json:"what" doc:"the rule, label or owner"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}
