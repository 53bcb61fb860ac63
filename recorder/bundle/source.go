package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/recorder/format"
)

// Source is an open bundle: a file, or a directory that Unpack made.
type Source struct {
	name   string
	m      manifest
	raw    []byte // the manifest's bytes
	head   int64  // where they begin
	pieces map[string]*io.SectionReader
	order  []piece
	files  []*os.File
}

// Rules, beside those of the recording format.
const (
	RuleBundle     = "bundle"     // magic, manifest in its one form, sizes
	RuleTrust      = "trust"      // trust bundle signed by its root, names the log's key
	RuleCheckpoint = "checkpoint" // signed by the log's key, in its one form
	RuleLeaf       = "leaf"       // strict, commits to nonce and body, proven in the tree
	RulePass       = "pass"       // of the open leaf, signed by a session CA, for this session and device
	RuleSlot       = "slot"       // a slot file is the one that the open leaf names
	RuleEnd        = "end"        // every beginning has one end, and the file agrees with it
	RulePolicy     = "policy"     // texts give the hash in the pass
	RuleHistory    = "history"    // leaf hashes give the checkpoint
	RuleLog        = "log"        // rewritten, shrunken or forked, compared with checkpoints that others hold
	RuleRecordings = "recordings" // every end has its file
	RuleGrant      = "grant"      // each approver of a grant has agreed to its terms
	RuleWitness    = "witness"    // another party holds a checkpoint that covers the end
)

// Open opens a bundle and reads its manifest.
func Open(path string) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s := &Source{name: path, pieces: map[string]*io.SectionReader{}}
	if info.IsDir() {
		err = s.openDir(path)
	} else {
		err = s.openFile(path)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openRegular opens a regular file and gives its size. An attacker may have put a pipe that never ends, or a link to a
// device file that gives zeros forever, in the place of evidence. A verifier must not wait for it or read it.
func openRegular(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &format.Fault{File: path, Rule: RuleBundle, Detail: "not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Close closes the files.
func (s *Source) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	s.files = nil
	return errors.Join(errs...)
}

func (s *Source) fault(off int64, rule, text string, args ...any) error {
	return &format.Fault{File: s.name, Offset: off, Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

// faultIn is a fault in the manifest, in the range from the first to the last of the elements that paths name.
func (s *Source) faultIn(paths, rule, text string, args ...any) error {
	names := strings.Split(paths, " ")
	at := find(s.raw, names[0])
	for _, n := range names[1:] {
		at = at.over(find(s.raw, n))
	}
	return s.faultAt(strings.Join(names, " or "), at, rule, text, args...)
}

func (s *Source) faultAt(path string, at span, rule, text string, args ...any) error {
	what := "manifest: "
	if path != "" {
		what = "manifest, " + path + ": "
	}
	return &format.Fault{File: s.name, Offset: s.head + int64(at.at), Length: int64(at.n), Rule: rule, Detail: what + fmt.Sprintf(text, args...)}
}

func (s *Source) openFile(path string) error {
	f, size, err := openRegular(path)
	if err != nil {
		return err
	}
	s.files = append(s.files, f)
	return s.read(f, size)
}

// read reads the magic and the manifest of a bundle, and finds out where each piece lies.
func (s *Source) read(f io.ReaderAt, size int64) error {
	head := make([]byte, len(magic)+4)
	if _, err := f.ReadAt(head, 0); err != nil || string(head[:len(magic)]) != string(magic) {
		return s.fault(0, RuleBundle, "not a bundle: the magic is not SLYBDL1")
	}
	s.head = int64(len(head))
	n := int64(binary.BigEndian.Uint32(head[len(magic):]))
	if n > maxManifest || s.head+n > size {
		return s.fault(int64(len(magic)), RuleBundle, "manifest of %d bytes; at most %d, and the file has %d", n, maxManifest, size)
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, s.head); err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	if err := s.manifest(raw); err != nil {
		return err
	}
	at := s.head + n
	for _, p := range s.order {
		if at+p.size > size {
			return s.fault(size, RuleBundle, "%s, which begins at %d, is cut off: %d bytes announced, %d there", p.name, at, p.size, size-at)
		}
		s.pieces[p.name] = io.NewSectionReader(f, at, p.size)
		at += p.size
	}
	if at != size {
		return &format.Fault{File: s.name, Offset: at, Length: size - at, Rule: RuleBundle, Detail: fmt.Sprintf("%d bytes follow the last part", size-at)}
	}
	return nil
}

func (s *Source) manifest(raw []byte) error {
	s.raw = raw
	if err := exact(raw, &s.m); err != nil {
		path, at := misread(raw)
		return s.faultAt(path, at, RuleBundle, "%v", err)
	}
	if path, err := s.m.check(); err != nil {
		return s.faultIn(path, RuleBundle, "%v", err)
	}
	s.order = s.m.pieces()
	return nil
}

func (s *Source) openDir(dir string) error {
	s.name = filepath.Join(dir, manifestName)
	f, size, err := openRegular(s.name)
	if err != nil {
		return err
	}
	defer f.Close()
	if size > maxManifest {
		return s.fault(0, RuleBundle, "manifest of %d bytes, at most %d", size, maxManifest)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(f, raw); err != nil {
		return err
	}
	if err := s.manifest(raw); err != nil {
		return err
	}
	for _, p := range s.order {
		if err := s.openPiece(filepath.Join(dir, p.name), p); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) openPiece(path string, p piece) error {
	f, size, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		if p.size == 0 {
			s.pieces[p.name] = io.NewSectionReader(nil, 0, 0)
			return nil
		}
		return &format.Fault{File: path, Rule: RuleBundle, Detail: fmt.Sprintf("the file is missing; the manifest names %d bytes", p.size)}
	}
	if err != nil {
		return err
	}
	s.files = append(s.files, f)
	if size != p.size {
		return &format.Fault{File: path, Offset: min(size, p.size), Rule: RuleBundle, Detail: fmt.Sprintf("the file has %d bytes, the manifest names %d", size, p.size)}
	}
	s.pieces[p.name] = io.NewSectionReader(f, 0, p.size)
	return nil
}

// Unpack writes the pieces as files into dir, which must not exist. A recording is then an ordinary container, and the
// stock age tool opens its slot files.
func (s *Source) Unpack(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	raw, err := encMode.Marshal(&s.m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), raw, 0o600); err != nil {
		return err
	}
	for _, p := range s.order {
		f, err := os.OpenFile(filepath.Join(dir, p.name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, io.NewSectionReader(s.pieces[p.name], 0, p.size))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
