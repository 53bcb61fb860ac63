package apitype

import "time"

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
	Words   []string     `json:"words,omitempty" doc:"each rule as one sentence"`
}

// Explanation answers explain.
type Explanation struct {
	Allowed bool   `json:"allowed"`
	Text    string `json:"text"`
	Nearest string `json:"nearest,omitempty"`
	Rule    string `json:"rule,omitempty"`
	CanAsk  []Way  `json:"can_ask,omitempty"`
}

// WhoCan is one row of who-can.
type WhoCan struct {
	User   string `json:"user"`
	Action string `json:"action"`
	How    string `json:"how" doc:"now, at other times, or may ask"`
	Rule   string `json:"rule"`
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
