package signer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Client speaks to a signer in another process.
type Client struct{ http *http.Client }

// NewClient reaches the signer at a unix socket.
func NewClient(socket string) *Client {
	return &Client{http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
}

func ask[Out any](ctx context.Context, c *Client, name string, in any) (Out, error) {
	var out Out
	raw, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://signer/"+name, bytes.NewReader(raw))
	if err != nil {
		return out, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return out, errkind.New(errkind.Unavailable, "the signer does not answer, so nothing new can start").
			WithHint("Try again in a minute. The gateway's operator can check whether sallyport-signer runs.").Because(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCall))
	if err != nil {
		return out, fmt.Errorf("signer %s: %w", name, err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(body, &f) != nil || f.Text == "" {
			return out, fmt.Errorf("signer %s: status %d", name, resp.StatusCode)
		}
		if f.Kind == errkind.Internal {
			return out, errors.New("signer: " + f.Text)
		}
		return out, errkind.New(f.Kind, f.Text).WithHint(f.Hint)
	}
	return out, json.Unmarshal(body, &out)
}

// Open implements Signer.
func (c *Client) Open(ctx context.Context, r OpenRequest) (Opened, error) {
	return ask[Opened](ctx, c, "open", r)
}

// Renew implements Signer.
func (c *Client) Renew(ctx context.Context, r RenewRequest) (Renewed, error) {
	return ask[Renewed](ctx, c, "renew", r)
}

// Append implements Signer.
func (c *Client) Append(ctx context.Context, r AppendRequest) (Appended, error) {
	return ask[Appended](ctx, c, "append", r)
}

// Status implements Signer.
func (c *Client) Status(ctx context.Context, device wire.Hash, nonce []byte) (wire.Signed, error) {
	return ask[wire.Signed](ctx, c, "status", statusCall{device, nonce})
}

// Bundle implements Signer.
func (c *Client) Bundle(ctx context.Context) (wire.Signed, error) {
	return ask[wire.Signed](ctx, c, "bundle", none{})
}

// Head implements Signer.
func (c *Client) Head(ctx context.Context) ([]byte, error) {
	return ask[[]byte](ctx, c, "head", none{})
}

// Prove implements Signer.
func (c *Client) Prove(ctx context.Context, index, size uint64) ([]wire.Hash, error) {
	return ask[[]wire.Hash](ctx, c, "prove", spanCall{index, size})
}

// ProveConsistency implements Signer.
func (c *Client) ProveConsistency(ctx context.Context, from, to uint64) ([]wire.Hash, error) {
	return ask[[]wire.Hash](ctx, c, "consistency", spanCall{from, to})
}

// Entry implements Signer.
func (c *Client) Entry(ctx context.Context, index uint64) (Entry, error) {
	return ask[Entry](ctx, c, "entry", index)
}

// Entries implements Signer.
func (c *Client) Entries(ctx context.Context, from uint64) ([]Entry, error) {
	return ask[[]Entry](ctx, c, "entries", from)
}

// Unended implements Signer.
func (c *Client) Unended(ctx context.Context, h0 wire.Hash) (*uint64, error) {
	return ask[*uint64](ctx, c, "unended", h0)
}

// PutDevice implements Signer.
func (c *Client) PutDevice(ctx context.Context, by Evidence, d Device) (Appended, error) {
	return ask[Appended](ctx, c, "device", deviceCall{by, d})
}

// Restrict implements Signer.
func (c *Client) Restrict(ctx context.Context, device wire.Hash, state, why string) (Appended, error) {
	return ask[Appended](ctx, c, "restrict", restrictCall{device, state, why})
}

// ApplyPolicy implements Signer.
func (c *Client) ApplyPolicy(ctx context.Context, by Evidence, files []PolicyFile, reason string) (Policy, error) {
	return ask[Policy](ctx, c, "policy", policyCall{by, files, reason})
}

// CurrentPolicy implements Signer.
func (c *Client) CurrentPolicy(ctx context.Context) (Policy, error) {
	return ask[Policy](ctx, c, "current-policy", none{})
}

// PutToken implements Signer.
func (c *Client) PutToken(ctx context.Context, by Evidence, t Token) (Appended, error) {
	return ask[Appended](ctx, c, "token", tokenCall{by, t})
}

// RevokeToken implements Signer.
func (c *Client) RevokeToken(ctx context.Context, tokenID, why string) (Appended, error) {
	return ask[Appended](ctx, c, "revoke-token", revokeCall{tokenID, why})
}

// Approve implements Signer.
func (c *Client) Approve(ctx context.Context, by Evidence, terms []byte) (Approved, error) {
	return ask[Approved](ctx, c, "approve", approveCall{by, terms})
}

// WithdrawGrant implements Signer.
func (c *Client) WithdrawGrant(ctx context.Context, request, why string) (Appended, error) {
	return ask[Appended](ctx, c, "withdraw", revokeCall{request, why})
}

// Grants implements Signer.
func (c *Client) Grants(ctx context.Context, after string) ([]Consent, error) {
	return ask[[]Consent](ctx, c, "grants", after)
}

// PutSite implements Signer.
func (c *Client) PutSite(ctx context.Context, by Evidence, site Site) (Appended, error) {
	return ask[Appended](ctx, c, "site", siteCall{by, site})
}

// Sites implements Signer.
func (c *Client) Sites(ctx context.Context) ([]Site, error) {
	return ask[[]Site](ctx, c, "sites", none{})
}

// Proposals implements Signer.
func (c *Client) Proposals(ctx context.Context) ([]Proposal, error) {
	return ask[[]Proposal](ctx, c, "proposals", none{})
}

// Proposal implements Signer.
func (c *Client) Proposal(ctx context.Context, proposal string) (Proposal, error) {
	return ask[Proposal](ctx, c, "proposal", proposal)
}

// DropProposal implements Signer.
func (c *Client) DropProposal(ctx context.Context, proposal, why string) (Appended, error) {
	return ask[Appended](ctx, c, "drop-proposal", revokeCall{proposal, why})
}

// MapGroups implements Signer.
func (c *Client) MapGroups(ctx context.Context, by Evidence, added []Mapping) (Appended, error) {
	return ask[Appended](ctx, c, "map-groups", mappingsCall{by, added})
}

// Mappings implements Signer.
func (c *Client) Mappings(ctx context.Context) ([]Mapping, error) {
	return ask[[]Mapping](ctx, c, "mappings", none{})
}

// SignOut implements Signer.
func (c *Client) SignOut(ctx context.Context, token wire.Hash) error {
	_, err := ask[none](ctx, c, "sign-out", token)
	return err
}

// Keys implements Signer.
func (c *Client) Keys(ctx context.Context) (PublicKeys, error) {
	return ask[PublicKeys](ctx, c, "keys", none{})
}

// Identify implements Signer.
func (c *Client) Identify(ctx context.Context, by Evidence) error {
	_, err := ask[none](ctx, c, "identify", by)
	return err
}
