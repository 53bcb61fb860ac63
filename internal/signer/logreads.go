package signer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func openLog(dir, second, origin string, k *keys) (*ledger.Log, error) {
	var copies []string
	if second != "" {
		copies = []string{second}
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return ledger.Create(dir, origin, k.log, copies...)
	}
	return ledger.Open(dir, k.log, copies...)
}

// Head implements Signer.
func (s *Service) Head(context.Context) ([]byte, error) { return s.log.Head().Note, nil }

// Ready says why the log takes no entries; nil when it does.
func (s *Service) Ready() error { return s.log.Ready() }

// Prove implements Signer.
func (s *Service) Prove(_ context.Context, index, size uint64) ([]wire.Hash, error) {
	p, err := s.log.Prove(index, size)
	return hashes(p), err
}

// ProveConsistency implements Signer.
func (s *Service) ProveConsistency(_ context.Context, from, to uint64) ([]wire.Hash, error) {
	if from == 0 || from > to {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("a proof from size %d to %d does not exist", from, to))
	}
	p, err := s.log.ProveConsistency(from, to)
	return hashes(p), err
}

// Entry implements Signer.
func (s *Service) Entry(_ context.Context, index uint64) (Entry, error) {
	if index >= s.log.Head().Size {
		return Entry{}, errkind.New(errkind.NotFound, fmt.Sprintf("the log has no entry %d yet", index))
	}
	leaf, nonce, body, err := s.log.Entry(index)
	return Entry{Leaf: leaf, Nonce: nonce[:], Body: body}, err
}

// Bounds of one answer of Entries. Its last entry may exceed mostEntryBytes. Base64 makes an answer longer by a third,
// and it must then still be shorter than maxCall.
const (
	mostEntries    = 512
	mostEntryBytes = 1 << 20
)

// Entries implements Signer.
func (s *Service) Entries(ctx context.Context, from uint64) ([]Entry, error) {
	out := []Entry{}
	head, bytes := s.log.Head().Size, 0
	for i := from; i < head && len(out) < mostEntries && bytes < mostEntryBytes; i++ {
		e, err := s.Entry(ctx, i)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		bytes += len(e.Leaf) + len(e.Body)
	}
	return out, nil
}

// Unended implements Signer.
func (s *Service) Unended(_ context.Context, h0 wire.Hash) (*uint64, error) {
	return s.unended.of(h0), nil
}

func hashes(in [][32]byte) []wire.Hash {
	out := make([]wire.Hash, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

// LoadPolicy reads the files of a version that is about to be stored.
func LoadPolicy(files []PolicyFile) (*authz.Policy, error) { return loadPolicy(files, authz.Load) }

// LoadStoredPolicy reads the files of a stored version, which an earlier release may have written: see
// authz.LoadStored. The gateway loads the same text that the signer decides by.
func LoadStoredPolicy(files []PolicyFile) (*authz.Policy, error) {
	return loadPolicy(files, authz.LoadStored)
}

// LoadPastPolicy reads the files of a version with the meaning that it had when it was in force: see authz.LoadPast.
func LoadPastPolicy(files []PolicyFile) (*authz.Policy, error) {
	return loadPolicy(files, authz.LoadPast)
}

func loadPolicy(files []PolicyFile, load func(...authz.File) (*authz.Policy, authz.Problems)) (*authz.Policy, error) {
	in := make([]authz.File, len(files))
	for i, f := range files {
		in[i] = authz.File{Name: f.Name, Text: []byte(f.Text)}
	}
	p, problems := load(in...)
	if len(problems) > 0 {
		return nil, errkind.New(errkind.Usage, problems.Error())
	}
	return p, nil
}

func edKey(k []byte) ed25519.PublicKey {
	if len(k) != ed25519.PublicKeySize {
		return make(ed25519.PublicKey, ed25519.PublicKeySize)
	}
	return k
}

// showable makes a text fit for a pass: what cannot be shown as itself becomes a space, and it is cut to its limit.
func showable(t string) string {
	t = strings.ToValidUTF8(t, "\uFFFD")
	var b strings.Builder
	for _, r := range t {
		if !wire.PlainText(string(r), 8) {
			r = ' '
		}
		if b.Len()+len(string(r)) > wire.MaxGrantText {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
