package store

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Principal is somebody as they were when last seen. Groups are the mapped ones.
type Principal struct {
	ID       id.Principal
	Name     string
	Username string // as the provider says it is typed there; empty: it does not say
	Email    string
	Groups   []string
	SeenAt   time.Time
}

// Kinds of web session.
const (
	KindWeb = "web" // a browser: cookie
	KindCLI = "cli" // `sallyport login`: bearer
)

// WebSession is one sign-in. Only the hash of its secret is kept. The tokens of the provider are kept sealed: the
// signer demands the id token as evidence.
type WebSession struct {
	IDHash         [32]byte
	Principal      id.Principal
	Provider       string    // name of the [[identity]]
	SID            string    // the provider's name of its session, for back-channel logout
	KeyID          [32]byte  // names the key of the sign-in: all sessions that came from it have the same
	SealedKey      []byte    // that key, sealed under the session's secret
	Tokens         []byte    // of the provider, sealed under that key
	HasRefresh     bool      // a refresh token is among them
	TokenHash      [32]byte  // of the id token: names the sign-in at the signer
	NoRefresh      bool      // the provider cannot be asked again about this sign-in
	ConfirmedAt    time.Time // iat of the id token
	AuthTime       time.Time
	SecondFactorAt time.Time
	AMR            []string
	ACR            string
	Kind           string
	Addr           string
	Created        time.Time
	LastSeen       time.Time
	Expires        time.Time
}

// APIToken is for machines. Only its hash is kept.
type APIToken struct {
	ID        string
	Name      string
	Hash      [32]byte
	Principal id.Principal
	Machine   string // the identity that policy names machine:NAME
	Scopes    []string
	Network   string // CIDR it is good from; empty: any
	Created   time.Time
	Expires   time.Time
	Revoked   time.Time
	LastUsed  time.Time
}

// Live reports whether the token is neither revoked nor expired.
func (t APIToken) Live(now time.Time) bool { return t.Revoked.IsZero() && now.Before(t.Expires) }

// Site is a customer's place. Its owners are who policy calls @owner.
type Site struct {
	Name    string
	ShownAs string
	Owners  []id.Principal
	Created time.Time
}
