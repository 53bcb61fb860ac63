package bundle

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Log has the operations on the log that an export needs. The signer implements it.
type Log interface {
	// Head returns the newest checkpoint.
	Head(ctx context.Context) (checkpoint []byte, err error)
	Entry(ctx context.Context, index uint64) (leaf, nonce, body []byte, err error)
	// Entries returns the entry at from, and some that follow it.
	Entries(ctx context.Context, from uint64) ([]ledger.Stored, error)
	// Prove returns the inclusion proof of an entry in the log of size entries.
	Prove(ctx context.Context, index, size uint64) ([][32]byte, error)
	// Trust returns the newest trust bundle and its signature.
	Trust(ctx context.Context) (body, sig []byte, err error)
}

// Part is one container of an export.
type Part struct {
	Open    uint64  // index of its open leaf
	End     *uint64 // index of its close or interrupted leaf; nil: search for it among the newest
	Pass    []byte
	Asker   []byte            // statement of who asked; empty: not known
	Passes  map[uint64][]byte // further passes, by the index of the leaf that announces each
	Started time.Time         // its files are in the directory of that day; zero: all days are searched
}

// Export says what goes into a bundle.
type Export struct {
	Session id.Session
	Dir     string // recordings and slot files, in directories of days
	Parts   []Part
	HostKey []byte   // of the device, in SSH wire form
	Policy  [][]byte // texts of the policy's files; left out of the bundle if no pass names this policy
	Decided *uint64  // index of the decision's leaf, which is before the first open leaf; nil: not known
}

// Write writes the bundle of a session. It streams the recordings and builds only the manifest in memory. The error
// is a *format.Fault in its chain if the log lacks what the export names.
func Write(ctx context.Context, w io.Writer, log Log, e Export) error {
	x, err := collect(ctx, log, e)
	if err != nil {
		return fmt.Errorf("export %s: %w", e.Session, err)
	}
	if err := x.m.writeHead(w); err != nil {
		return err
	}
	for _, p := range x.m.pieces() {
		if err := x.piece(w, p); err != nil {
			return fmt.Errorf("export %s: %s: %w", e.Session, p.name, err)
		}
	}
	return nil
}

type exporter struct {
	ctx     context.Context // of one call
	log     Log
	e       Export
	m       manifest
	size    uint64 // of the log at the checkpoint
	history []byte
	started map[string]time.Time // by name of a file
	passes  map[uint64][]uint64  // pass leaves, by the open leaf that each refers to
}

// collect builds the manifest of a bundle. It reads the log's head before the files, so that the files have everything
// that the log names.
func collect(ctx context.Context, log Log, e Export) (*exporter, error) {
	x := &exporter{ctx: ctx, log: log, e: e, started: map[string]time.Time{}}
	if err := x.begin(); err != nil {
		return nil, err
	}
	if decidedBy(e.Parts, e.Policy) { // the policy may have changed between the request and the pass
		x.m.Policy = e.Policy
	}
	if err := x.decision(); err != nil {
		return nil, err
	}
	ends, err := x.scan()
	if err != nil {
		return nil, err
	}
	for i, p := range e.Parts {
		if p.End == nil {
			if at, ok := ends[p.Open]; ok {
				p.End = &at
			}
		}
		if err := x.part(uint32(i), p); err != nil {
			return nil, fmt.Errorf("part %d: %w", i, err)
		}
	}
	return x, nil
}

// begin starts the manifest with the log's head and the keys.
func (x *exporter) begin() (err error) {
	if len(x.e.Parts) == 0 {
		return errors.New("no part of it was announced in the log")
	}
	x.m = manifest{V: Version, Session: x.e.Session}
	if x.m.Checkpoint, err = x.log.Head(x.ctx); err != nil {
		return err
	}
	if x.size, err = noteSize(x.m.Checkpoint); err != nil {
		return err
	}
	x.m.Trust, x.m.TrustSig, err = x.log.Trust(x.ctx)
	return err
}

// decision adds the leaf of the decision to the events.
func (x *exporter) decision() error {
	if x.e.Decided == nil || *x.e.Decided >= x.e.Parts[0].Open {
		return nil
	}
	e, err := x.at(*x.e.Decided)
	x.m.Events = append(x.m.Events, e)
	return err
}

// scan reads the leaves since the session began, up to a limit. It looks for the ends of the session's parts and for
// other leaves about the session.
func (x *exporter) scan() (ends map[uint64]uint64, err error) {
	ends, x.passes = map[uint64]uint64{}, map[uint64][]uint64{}
	first := x.e.Parts[0].Open
	if first >= x.size {
		return nil, x.beyond(first)
	}
	whole := x.size-first <= maxHistory
	about := map[uint64]bool{}
	for _, p := range x.e.Parts {
		about[p.Open] = true
	}
	err = x.each(first, min(x.size, first+maxHistory), func(i uint64, e ledger.Stored) error {
		if whole {
			x.history = binary.BigEndian.AppendUint16(x.history, uint16(len(e.Leaf)))
			x.history = append(x.history, e.Leaf...)
		}
		l, err := ledger.ParseLeaf(e.Leaf)
		if err != nil {
			return x.bad(RuleLeaf, "entry %d: %v", i, err)
		}
		return x.take(i, l, e.Leaf, e.Nonce, e.Body, about, ends)
	})
	if err != nil {
		return nil, err
	}
	if !whole || len(x.history) > maxLeaves {
		x.history = nil
		return ends, nil
	}
	x.m.History, x.m.HistoryLen = x.size-first, int64(len(x.history))
	x.m.Peaks, err = x.log.Prove(x.ctx, first, first+1) // the proof of a newest leaf has exactly the peaks before it
	return ends, err
}

// each calls do with the entries of a range, in order.
func (x *exporter) each(from, to uint64, do func(i uint64, e ledger.Stored) error) error {
	for i := from; i < to; {
		some, err := x.log.Entries(x.ctx, i)
		if err != nil {
			return err
		}
		if len(some) == 0 {
			return x.beyond(i)
		}
		for _, e := range some[:min(uint64(len(some)), to-i)] {
			if err := do(i, e); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

// bad returns a fault of the log itself, or of what the database says about it. There is then no evidence to export.
func (x *exporter) bad(rule, text string, args ...any) error {
	return &format.Fault{File: "log", Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

func (x *exporter) beyond(i uint64) error {
	return x.bad(RuleLeaf, "entry %d is beyond the log, which has %d", i, x.size)
}

func (x *exporter) take(i uint64, l ledger.Leaf, leaf, nonce, body []byte, about map[uint64]bool, ends map[uint64]uint64) error {
	if l.Type == "open" {
		return nil
	}
	refers := slices.ContainsFunc(l.Ref, func(r uint64) bool { return about[r] })
	if l.Type == "pass" {
		x.passes[first(l.Ref)] = append(x.passes[first(l.Ref)], i)
		return nil
	}
	if l.Type == "close" || l.Type == "interrupted" {
		if _, had := ends[first(l.Ref)]; refers && !had {
			ends[first(l.Ref)], about[i] = i, true
		}
		return nil
	}
	if !refers {
		b, err := ledger.ParseEventBody(body)
		refers = err == nil && b.Fields["subject"] == x.e.Session.String()
	}
	if !refers || len(x.m.Events) == maxEvents {
		return nil
	}
	e, err := x.entry(i, leaf, nonce, body)
	x.m.Events = append(x.m.Events, e)
	return err
}

func first(ref []uint64) uint64 {
	if len(ref) == 0 {
		return 0
	}
	return ref[0]
}

func (x *exporter) entry(i uint64, leaf, nonce, body []byte) (Entry, error) {
	if len(nonce) != 16 {
		return Entry{}, fmt.Errorf("entry %d: nonce of %d bytes", i, len(nonce))
	}
	proof, err := x.log.Prove(x.ctx, i, x.size)
	return Entry{Index: i, Leaf: leaf, Nonce: [16]byte(nonce), Body: body, Proof: proof}, err
}

func (x *exporter) at(i uint64) (Entry, error) {
	if i >= x.size {
		return Entry{}, x.beyond(i)
	}
	leaf, nonce, body, err := x.log.Entry(x.ctx, i)
	if err != nil {
		return Entry{}, err
	}
	return x.entry(i, leaf, nonce, body)
}

// part adds a part: its leaves and passes, and the sizes of its files.
func (x *exporter) part(n uint32, p Part) error {
	out, err := x.leaves(p)
	if err != nil {
		return err
	}
	rk, sk := format.SlotNames(x.e.Session, n)
	for name, size := range map[string]*int64{rk: &out.SlotRK, sk: &out.SlotSK, format.FileName(x.e.Session, n): &out.Recording} {
		f, err := files.Open(x.e.Dir, name, p.Started)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the bundle lacks the file too, and the verifier reports it
		}
		if err != nil {
			return err
		}
		x.started[name] = p.Started
		*size, err = sizeOfPiece(f, p.End == nil)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if out.End != nil { // bytes after an interruption are not part of the recording
		body, err := ledger.ParseCloseBody(out.End.Body)
		if err == nil && body.Bytes >= 0 { // the verifier reports every other body
			out.Recording = min(out.Recording, body.Bytes)
		}
	}
	x.m.Parts = append(x.m.Parts, out)
	return nil
}

// leaves returns the leaves and passes of a part.
func (x *exporter) leaves(p Part) (out part, err error) {
	out = part{Pass: p.Pass, Asker: p.Asker, HostKey: x.e.HostKey}
	if out.Open, err = x.at(p.Open); err != nil {
		return out, err
	}
	if out.Passes, err = x.nextPasses(p); err != nil || p.End == nil {
		return out, err
	}
	end, err := x.at(*p.End)
	out.End = &end
	return out, err
}

// nextPasses returns the leaves of all passes of a part after its first one, each with the pass itself if it is known.
func (x *exporter) nextPasses(p Part) ([]nextPass, error) {
	indices := append(slices.Collect(maps.Keys(p.Passes)), x.passes[p.Open]...)
	slices.Sort(indices)
	var out []nextPass
	for _, i := range slices.Compact(indices) {
		leaf, err := x.at(i)
		if err != nil {
			return nil, err
		}
		out = append(out, nextPass{Leaf: leaf, Pass: p.Passes[i]})
	}
	return out, nil
}

// sizeOfPiece returns the number of bytes of a file that go into the bundle. A container is closed a moment before the
// log gets its end. An export in between leaves out the close, because a verifier would report a closed recording
// without an end in the log as a fault.
func sizeOfPiece(f *os.File, open bool) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if at, closed := format.CloseAt(f, info.Size()); open && closed {
		return at, nil
	}
	return info.Size(), nil
}

func (x *exporter) piece(w io.Writer, p piece) error {
	if err := x.ctx.Err(); err != nil {
		return context.Cause(x.ctx)
	}
	if p.name == historyName {
		_, err := w.Write(x.history)
		return err
	}
	if p.size == 0 {
		return nil
	}
	f, err := files.Open(x.e.Dir, p.name, x.started[p.name])
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, p.size) // a running recording grows meanwhile
	return err
}

// decidedBy reports whether one of the passes names this policy.
func decidedBy(parts []Part, policy [][]byte) bool {
	want := policyHash(policy)
	return len(policy) > 0 && slices.ContainsFunc(parts, func(p Part) bool {
		g, err := grantOf(p.Pass)
		return err == nil && g.PolicySHA == want
	})
}

// noteSize reads the size in a checkpoint of our own log.
func noteSize(note []byte) (uint64, error) {
	lines := strings.SplitN(string(note), "\n", 4)
	if len(lines) < 4 {
		return 0, errors.New("the log gave no checkpoint")
	}
	return strconv.ParseUint(lines[1], 10, 62)
}

// b64 is how the product writes keys and hashes in JSON.
var b64 = base64.RawURLEncoding.Strict()
