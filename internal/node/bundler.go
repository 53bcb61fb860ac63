package node

import (
	"context"
	"errors"
	"io"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/bundle"
)

// bundler writes the file that an outsider checks.
type bundler struct{ g *Gateway }

// Bundle implements records.Bundler.
func (b *bundler) Bundle(ctx context.Context, w io.Writer, s store.Session, parts []store.Part) error {
	dev, err := b.g.DB.DeviceByFP(ctx, s.DeviceFP)
	if err != nil {
		return err
	}
	e := bundle.Export{Session: s.ID, Dir: b.g.path("recordings"), HostKey: dev.HostKey}
	for _, p := range parts {
		if p.OpenLeaf == nil && p.State == store.RecordRunning {
			return errkind.New(errkind.Unavailable,
				"this session is being opened, and the log has not announced it yet").
				WithHint("Try again in a few seconds.")
		}
		if p.OpenLeaf == nil {
			return errkind.New(errkind.Conflict, "the database has no entry of the log that announces this session, "+
				"so there is no evidence to export").
				WithHint("`sallyport sessions show` says what became of it.")
		}
		passes, err := b.passes(ctx, p)
		if err != nil {
			return err
		}
		e.Parts = append(e.Parts, bundle.Part{Open: *p.OpenLeaf, End: p.CloseLeaf, Pass: p.Pass, Passes: passes, Started: p.Started})
	}
	if len(e.Parts) == 0 {
		return errkind.New(errkind.Conflict, "nothing was recorded in this session, so there is nothing to export").WithHint("`sallyport sessions show` says what became of it.")
	}
	if e.Policy, err = b.policy(ctx, s.PolicySHA); err != nil {
		return err
	}
	return bundle.Write(ctx, w, logReader{b.g}, e)
}

// passes gives the further passes of a part by the leaf that announces each.
func (b *bundler) passes(ctx context.Context, p store.Part) (map[uint64][]byte, error) {
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
func (b *bundler) policy(ctx context.Context, sha [32]byte) ([][]byte, error) {
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
