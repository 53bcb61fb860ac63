package node

import (
	"context"
	"errors"
	"io"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// evidence reads log, passes and recordings of sessions. It implements records.Evidence.
type evidence struct {
	g       *Gateway
	reading []age.Identity // of the archive
}

// Bundle writes the evidence bundle of a session.
func (b *evidence) Bundle(ctx context.Context, w io.Writer, s store.Session, parts []store.Part) error {
	e, err := b.export(ctx, s, parts)
	if err != nil {
		return err
	}
	if e.Policy, err = b.policy(ctx, s.PolicySHA); err != nil {
		return err
	}
	return bundle.Write(ctx, w, logReader{b.g}, e)
}

// Inspect checks the same evidence without writing a bundle.
func (b *evidence) Inspect(ctx context.Context, s store.Session, parts []store.Part) (*bundle.Report, error) {
	e, opt, err := b.known(ctx, s, parts)
	if err != nil {
		return nil, err
	}
	if e.Policy, err = b.policy(ctx, s.PolicySHA); err != nil {
		return nil, err
	}
	return bundle.Inspect(ctx, logReader{b.g}, e, opt)
}

// Outline returns what leaves and passes say. It does without the policy's texts, because each view of a session's page
// calls it.
func (b *evidence) Outline(ctx context.Context, s store.Session, parts []store.Part) (*bundle.Outlined, error) {
	e, opt, err := b.known(ctx, s, parts)
	if err != nil {
		return nil, err
	}
	return bundle.Outline(ctx, logReader{b.g}, e, opt)
}

// known returns the export of a session, and what the gateway's verifier knows from other sources than the bundle.
func (b *evidence) known(ctx context.Context, s store.Session, parts []store.Part) (e bundle.Export, opt bundle.Options, err error) {
	if e, err = b.export(ctx, s, parts); err != nil {
		return e, opt, err
	}
	keys, err := b.g.Signer.Keys(ctx)
	if err != nil {
		return e, opt, err
	}
	return e, bundle.Options{LogKey: keys.LogKey, Root: bundle.Fingerprint(keys.Root), Identities: b.reading}, nil
}

// export gathers what goes into the bundle of a session, except the policy's texts.
func (b *evidence) export(ctx context.Context, s store.Session, parts []store.Part) (bundle.Export, error) {
	e := bundle.Export{Session: s.ID, Dir: b.g.path("recordings")}
	dev, err := b.g.DB.DeviceByFP(ctx, s.DeviceFP)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return e, err
	}
	e.HostKey = dev.HostKey // if the row was edited, the key is absent or wrong, and the verifier reports it
	for _, p := range parts {
		if err := announced(p); err != nil {
			return e, err
		}
		passes, err := b.passes(ctx, p)
		if err != nil {
			return e, err
		}
		e.Parts = append(e.Parts, bundle.Part{
			Open:    *p.OpenLeaf,
			End:     p.CloseLeaf,
			Pass:    p.Pass,
			Asker:   p.Asker,
			Passes:  passes,
			Started: p.Started,
		})
	}
	if len(e.Parts) == 0 {
		return e, errkind.New(errkind.Conflict, "nothing was recorded in this session, so there is nothing to export").
			WithHint("`sallyport sessions show` says what became of it.")
	}
	e.Decided, err = b.decided(ctx, s.ID)
	return e, err
}

func announced(p store.Part) error {
	switch {
	case p.OpenLeaf != nil:
		return nil
	case p.State == store.RecordRunning:
		return errkind.New(errkind.Unavailable,
			"this session is being opened, and the log has not announced it yet").
			WithHint("Try again in a few seconds.")
	}
	return errkind.New(errkind.Conflict, "the database has no entry of the log that announces this session, "+
		"so there is no evidence to export").
		WithHint("`sallyport sessions show` says what became of it.")
}

// decided finds the leaf of the decision on a session's first channel, which is the oldest of its decisions. A session
// may have more of them than one page has, because each further channel that is asked for has one.
func (b *evidence) decided(ctx context.Context, sid id.Session) (leaf *uint64, err error) {
	f := store.AuditFilter{Type: "decided", Subject: sid.String(), Limit: store.MaxPage}
	for {
		rows, err := b.g.DB.AuditEvents(ctx, f) // newest first
		if err != nil || len(rows) == 0 {
			return leaf, err
		}
		oldest := rows[len(rows)-1]
		leaf, f.Before = &oldest.Leaf, oldest.ID
		if len(rows) < store.MaxPage {
			return leaf, nil
		}
	}
}

// passes returns the further passes of a part, by the index of the leaf that announces each.
func (b *evidence) passes(ctx context.Context, p store.Part) (map[uint64][]byte, error) {
	all, err := b.g.DB.Passes(ctx, p.Session, p.Part)
	if err != nil {
		return nil, err
	}
	out := map[uint64][]byte{}
	for _, one := range all {
		out[one.Leaf] = one.Pass
	}
	return out, nil
}

// policy finds the texts of the policy that the session was decided by.
func (b *evidence) policy(ctx context.Context, sha [32]byte) ([][]byte, error) {
	p, err := b.g.Signer.CurrentPolicy(ctx)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	if p.SHA256 == sha {
		for _, f := range p.Files {
			out = append(out, []byte(f.Text))
		}
		return out, nil
	}
	all, err := b.g.DB.Policies(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, v := range all {
		if v.SHA256 == sha {
			for _, f := range v.Files {
				out = append(out, []byte(f.Text))
			}
			return out, nil
		}
	}
	return nil, nil
}

// logReader is the signer as the bundle reads it.
type logReader struct{ g *Gateway }

func (l logReader) Head(ctx context.Context) ([]byte, error) { return l.g.Signer.Head(ctx) }

func (l logReader) Entry(ctx context.Context, index uint64) (leaf, nonce, body []byte, err error) {
	e, err := l.g.Signer.Entry(ctx, index)
	return e.Leaf, e.Nonce, e.Body, err
}

func (l logReader) Entries(ctx context.Context, from uint64) ([]ledger.Stored, error) {
	some, err := l.g.Signer.Entries(ctx, from)
	var out []ledger.Stored
	for _, e := range some {
		out = append(out, ledger.Stored(e))
	}
	return out, err
}

func (l logReader) Prove(ctx context.Context, index, size uint64) ([][32]byte, error) {
	p, err := l.g.Signer.Prove(ctx, index, size)
	out := make([][32]byte, len(p))
	for i := range p {
		out[i] = p[i]
	}
	return out, err
}

func (l logReader) Trust(ctx context.Context) (body, sig []byte, err error) {
	s, err := l.g.Signer.Bundle(ctx)
	return s.Body, s.Sig, err
}
