package backup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// A sealed file is age over zstd: compressed first, because encrypted bytes do not compress.

// seal writes the output of write to a new file below root, sealed, and returns the number of plain bytes.
func seal(root *os.Root, name string, to []age.Recipient, write func(io.Writer) error) (plain int64, err error) {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	locked, err := age.Encrypt(f, to...)
	if err != nil {
		return 0, fmt.Errorf("[backup] recipients: %w", err)
	}
	packed, err := zstd.NewWriter(locked, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	n := &counted{w: packed}
	if err := write(n); err != nil {
		return 0, err
	}
	return n.n, errors.Join(packed.Close(), locked.Close(), f.Sync())
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// unseal passes the plain bytes of a sealed file to read. There must be exactly plain of them.
func unseal(f io.Reader, ids []age.Identity, plain int64, read func(io.Reader) error) error {
	opened, err := age.Decrypt(f, ids...)
	if err != nil {
		return err
	}
	unpacked, err := zstd.NewReader(opened, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return err
	}
	defer unpacked.Close()
	in := &io.LimitedReader{R: unpacked, N: plain + 1}
	if err := read(in); err != nil {
		return err
	}
	if rest, err := io.Copy(io.Discard, in); err != nil || in.N != 1 {
		return fmt.Errorf("it opens to another length than the manifest says (%d more bytes read, %w)", rest,
			errors.Join(err, errLength))
	}
	return nil
}

var errLength = errors.New("length")

// pack writes the sealed files of a place as a tar.
func (p place) pack(w io.Writer, files []found) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(f.name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since, as the file of a token may be
		}
		if err != nil {
			return err
		}
		if len(raw) > maxSecret {
			return fmt.Errorf("%s has %d bytes, more than %d", f.name, len(raw), maxSecret)
		}
		h := &tar.Header{Name: p.packed(f.name), Mode: 0o600, Size: int64(len(raw)), ModTime: f.info.ModTime(),
			Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(raw); err != nil {
			return err
		}
	}
	return t.Close()
}

// unpack passes on each file of a tar after checking its name and size: only files that a rule seals are unpacked.
func (p place) unpack(r io.Reader, each func(name string, content []byte) error) error {
	t := tar.NewReader(r)
	total := int64(0)
	seen := map[string]bool{}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		rule, ok := p.classify(h.Name)
		total += h.Size
		switch {
		case h.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(h.Name)) || !clean(h.Name):
			return fmt.Errorf("%.200q is not a name that a backup writes", h.Name)
		case !ok || rule.Class != Sealed || seen[h.Name]:
			return fmt.Errorf("%.200q does not belong in this archive", h.Name)
		case h.Size > maxSecret || total > maxSecrets:
			return fmt.Errorf("%.200q: too large", h.Name)
		}
		seen[h.Name] = true
		raw, err := io.ReadAll(io.LimitReader(t, maxSecret+1))
		if err != nil {
			return err
		}
		if err := each(h.Name, raw); err != nil {
			return err
		}
	}
}
