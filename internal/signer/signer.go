// Package signer holds what a taken data plane must not have: the root key, the session CA, the log and its
// key. Its interface is narrow on purpose. The gateway brings evidence of who asks and for what; the signer checks the
// evidence itself, decides on its own copy of the policy and of the devices, and only then builds the pass.
//
// # Nothing is signed that is not in the log
//
// Open appends the open leaf, which commits to the recording's first hash and to the pass without its signature,
// signs the checkpoint that includes it, and signs the pass last. The device demands that proof, so "announced before
// it starts" is enforced by the party it protects.
//
// # What a taken data plane can still do
//
// Act as somebody who is signed in at that time, within that person's rights. It cannot make evidence, widen a policy,
// admit a device or read a key. When the signer runs in the gateway's process all of this is a matter of code only, and
// `sallyport doctor` says so.
package signer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// Evidence is proof of who asks: exactly one of id token and API token. It is passed on as received, because the signer
// does not trust the data plane to verify it. Only the client's address is the data plane's claim: the signer has no
// other source for it.
//
// AccessToken goes with an id token that lacks groups or name: the signer asks the provider's userinfo endpoint with
// it.
//
// Session goes with each id token: 32 random bytes, a secret of the web session that the token was given for. The
// signer binds the token to the first one that it sees, so that a token from a log, a copied database or another web
// session is not evidence.
type Evidence struct {
	IDToken     string    `json:"id_token,omitempty"`
	AccessToken string    `json:"access_token,omitempty"`
	Session     wire.Hash `json:"session,omitzero"`
	APIToken    string    `json:"api_token,omitempty"`
	Confirms    uint64    `json:"confirms,omitempty"` // log entry of the proposal that the person has read and confirms
	ClientAddr  string    `json:"client_addr,omitempty"`
}

// OpenRequest asks for a pass.
type OpenRequest struct {
	Evidence   Evidence          `json:"evidence"`
	Session    id.Session        `json:"session"`
	Part       uint32            `json:"part"`
	PrevOpen   *uint64           `json:"prev_open,omitempty"` // leaf index of the part before
	Device     id.Device         `json:"device"`
	Login      string            `json:"login"`
	Argv       []string          `json:"argv,omitempty"` // a command; empty for a shell
	Terminal   bool              `json:"terminal,omitempty"`
	Reason     string            `json:"reason"`
	Ticket     string            `json:"ticket"`
	Live       int               `json:"live"` // sessions on the device now
	H0         wire.Hash         `json:"h0"`
	SlotRK     wire.Hash         `json:"slot_rk"`
	SlotSK     wire.Hash         `json:"slot_sk"`
	RecordKey  ed25519.PublicKey `json:"record_key"`  // signs the recording's close
	SessionKey []byte            `json:"session_key"` // SSH wire form of the fresh key in the gateway's memory
	AckSize    uint64            `json:"ack_size"`    // log size the device has accepted
}

// Opened is everything the device needs to agree.
type Opened struct {
	Pass        []byte      `json:"pass"` // its grant names what the session may do: wire.ReadPass
	PassHash    wire.Hash   `json:"pass_hash"`
	Leaf        []byte      `json:"leaf"`
	Nonce       []byte      `json:"nonce"`
	Body        []byte      `json:"body"`
	Index       uint64      `json:"index"`
	Proof       []wire.Hash `json:"proof"`
	Consistency []wire.Hash `json:"consistency"`
	Checkpoint  []byte      `json:"checkpoint"`
	Until       time.Time   `json:"until"`
	Rule        string      `json:"rule"`
	PolicySHA   wire.Hash   `json:"policy_sha256"`
	Asker       []byte      `json:"asker"` // statement that the open leaf commits to: ledger.Asker
}

// RenewRequest asks for the next pass of a session that runs.
type RenewRequest struct {
	Evidence   Evidence   `json:"evidence"`
	Session    id.Session `json:"session"`
	Open       uint64     `json:"open"`        // index of the open leaf of the part that runs
	Pass       []byte     `json:"pass"`        // that the session runs under
	Needs      string     `json:"needs"`       // action without which the session has no use: that of its program
	Live       int        `json:"live"`        // other sessions on the device now
	SessionKey []byte     `json:"session_key"` // SSH wire form of a fresh key in the gateway's memory
	AckSize    uint64     `json:"ack_size"`    // log size the device has accepted
}

// Renewed is the next pass, with what the device needs to agree. Its leaf is of type pass.
type Renewed struct {
	Opened
	N uint32 `json:"n"` // number of the pass in its part
}

// AppendRequest writes one leaf of another type.
type AppendRequest struct {
	Type string   `json:"type"`
	Ref  []uint64 `json:"ref,omitempty"`
	Body []byte   `json:"body"`
}

// Appended says where a leaf stands.
type Appended struct {
	Index      uint64 `json:"index"`
	Nonce      []byte `json:"nonce"`
	Checkpoint []byte `json:"checkpoint"`
}

// Entry is a leaf and what it commits to.
type Entry struct {
	Leaf  []byte `json:"leaf"`
	Nonce []byte `json:"nonce"`
	Body  []byte `json:"body"`
}

// Device is the signer's own copy of what decides about a device.
type Device struct {
	Name     id.Device         `json:"name"`
	Site     string            `json:"site"`
	FP       wire.Hash         `json:"fp"` // of the SSH host key
	HostKey  wire.PublicKey    `json:"host_key"`
	Labels   map[string]string `json:"labels"`
	State    string            `json:"state"` // of the status: waiting, ok, locked, revoked
	Epoch    uint64            `json:"epoch"`
	Revision uint64            `json:"revision"`
}

// Token is the signer's own copy of an API token.
type Token struct {
	ID        string       `json:"id"`
	Hash      wire.Hash    `json:"hash"` // of the token's text
	Principal id.Principal `json:"principal"`
	Name      string       `json:"name"`
	Groups    []string     `json:"groups"`
	Machine   string       `json:"machine,omitempty"`
	Scopes    []string     `json:"scopes"`
	Network   string       `json:"network,omitempty"` // CIDR the token is good from; empty: any
	Expires   time.Time    `json:"expires"`
	Revoked   bool         `json:"revoked,omitempty"`
}

// PolicyFile is one file of a policy version.
type PolicyFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Policy is a stored version.
type Policy struct {
	Version uint64       `json:"version"`
	SHA256  wire.Hash    `json:"sha256"`
	Files   []PolicyFile `json:"files"`
	By      string       `json:"by"`
	Reason  string       `json:"reason"`
	At      time.Time    `json:"at"`
	Leaf    uint64       `json:"leaf"` // in the log

	ProposedBy  string `json:"proposed_by,omitempty"` // who proposed it, if By confirmed it
	Unconfirmed bool   `json:"unconfirmed,omitempty"` // it widened, and there was nobody else to confirm it

	// Newest is a later version that the log names, as after a restore of an older state; 0: there is none. It is not
	// stored.
	Newest uint64 `json:"newest,omitempty"`
}

// Signer is what the gateway may ask. Service answers in this process, Client over a unix socket.
type Signer interface {
	// Open decides, announces and signs. A refusal is an errkind.Denied with its reason and hint.
	Open(ctx context.Context, r OpenRequest) (Opened, error)
	// Renew decides again, announces and signs the next pass of a session that runs: for the same person, device and
	// login, never wider than the pass before, with a key of its own. A refusal is as that of Open.
	Renew(ctx context.Context, r RenewRequest) (Renewed, error)
	// Append writes a leaf of a type that needs no decision.
	Append(ctx context.Context, r AppendRequest) (Appended, error)
	// Status speaks on a device with a fresh signature over its nonce.
	Status(ctx context.Context, device wire.Hash, nonce []byte) (wire.Signed, error)
	// Bundle gives the trust bundle.
	Bundle(ctx context.Context) (wire.Signed, error)

	// Head, Prove, ProveConsistency, Entry and Entries read the log. Entries gives the entries from an index on, as
	// many as fit into one answer. From the head's size on there are none, and the answer is empty without an error.
	Head(ctx context.Context) ([]byte, error)
	Prove(ctx context.Context, index, size uint64) ([]wire.Hash, error)
	ProveConsistency(ctx context.Context, from, to uint64) ([]wire.Hash, error)
	Entry(ctx context.Context, index uint64) (Entry, error)
	Entries(ctx context.Context, from uint64) ([]Entry, error)
	// Unended gives the index of the open leaf of the recording whose first hash is h0 while the log has no end of it;
	// nil if there is none.
	Unended(ctx context.Context, h0 wire.Hash) (*uint64, error)

	// PutSite replaces the owners of a site, on an administrator's evidence. Sites gives those whose owners the signer
	// knows.
	PutSite(ctx context.Context, by Evidence, site Site) (Appended, error)
	Sites(ctx context.Context) ([]Site, error)

	// Identify checks an id token and asks userinfo while the access token is fresh: access tokens may end within
	// minutes.
	Identify(ctx context.Context, by Evidence) error

	// PutDevice and ApplyPolicy widen: they need an administrator's evidence. Restrict only tightens. If PutDevice,
	// ApplyPolicy or PutSite would give people more, and two people have the duty administer, nothing changes: the call
	// returns an errkind.Conflict and leaves a proposal. The same call on another administrator's evidence confirms it.
	PutDevice(ctx context.Context, by Evidence, d Device) (Appended, error)
	Restrict(ctx context.Context, device wire.Hash, state, why string) (Appended, error)
	ApplyPolicy(ctx context.Context, by Evidence, files []PolicyFile, reason string) (Policy, error)
	CurrentPolicy(ctx context.Context) (Policy, error)
	PutToken(ctx context.Context, by Evidence, t Token) (Appended, error)
	RevokeToken(ctx context.Context, tokenID, why string) (Appended, error)
	// Approve counts the person of the evidence among those who agree to terms (ledger.Terms, encoded). The last one
	// who is needed makes the grant. WithdrawGrant ends a request or grant; it only takes away. Grants gives grants in
	// force, in the order of their requests after one, as many as fit into one answer; none if there are no more.
	Approve(ctx context.Context, by Evidence, terms []byte) (Approved, error)
	WithdrawGrant(ctx context.Context, request, why string) (Appended, error)
	Grants(ctx context.Context, after string) ([]Consent, error)
	// Proposals gives the changes that wait for a second person, newest first, without the changes and gains themselves. Proposal
	// gives one with them. DropProposal withdraws one.
	Proposals(ctx context.Context) ([]Proposal, error)
	Proposal(ctx context.Context, proposal string) (Proposal, error)
	DropProposal(ctx context.Context, proposal, why string) (Appended, error)
	// MapGroups confirms mappings that the configuration proposes. Mappings gives those in force.
	MapGroups(ctx context.Context, by Evidence, added []Mapping) (Appended, error)
	Mappings(ctx context.Context) ([]Mapping, error)
	// SignOut closes a sign-in: evidence with the id token of this TokenHash is refused from then on, also after a
	// restart. A hash that is closed already, or was never shown, is no error.
	SignOut(ctx context.Context, token wire.Hash) error
	// Keys gives the public halves that others show or check.
	Keys(ctx context.Context) (PublicKeys, error)
}

// PublicKeys are the public halves.
type PublicKeys struct {
	LogKey    string         `json:"log_key"` // verifier key
	Origin    string         `json:"origin"`
	SessionCA wire.PublicKey `json:"session_ca"`
	Root      wire.PublicKey `json:"root"`
}

// Identity is who an id token names, as the verifier of its issuer read it.
type Identity struct {
	Principal      id.Principal
	Name           string
	Groups         []string
	SignedInAt     time.Time
	SecondFactorAt time.Time // zero: no second factor
	Methods        []string  // of the sign-in, as the claim amr names them (RFC 8176)
	IssuedAt       time.Time // of the id token
	Until          time.Time // the id token is not accepted after this; zero: as long as the sign-in
}

// ErrUnconfirmed is in the chain when an id token is too old to be evidence.
var ErrUnconfirmed = errors.New("the id token is older than no_refresh_at_most")

// Identities verifies id tokens: signature, issuer, audience and age always; expiry as of the sign-in. The access
// token may be empty.
type Identities interface {
	VerifyIDToken(ctx context.Context, raw, access string) (Identity, error)
}

func sshKey(raw []byte) (ssh.PublicKey, error) { return ssh.ParsePublicKey(raw) }
