package testenv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
)

// Kept is what one recording holds of the streams of its first channel, and its notes.
type Kept struct {
	format.Header
	KeptChannel
	More  map[uint32]*KeptChannel // the other channels, by number
	Notes []string                // kind and text of each
	Cut   bool                    // without its close
}

// KeptChannel is what one recording holds of a channel.
type KeptChannel struct {
	Typed    []byte // opened with the unsealing key, or zeros
	Revealed []byte // Typed as a reader without that key has it; what stayed sealed is zeros
	Shown    []byte // standard output
	Errors   []byte // standard error
}

// channel gives the channel of that number.
func (k *Kept) channel(n uint32) *KeptChannel {
	if n == 1 {
		return &k.KeptChannel
	}
	if k.More[n] == nil {
		k.More[n] = &KeptChannel{}
	}
	return k.More[n]
}

// output takes in a frame of output.
func (k *KeptChannel) output(f *format.Frame) error {
	to := &k.Shown
	if f.Stream == format.StreamErr {
		to = &k.Errors
	}
	if f.At != uint64(len(*to)) {
		return fmt.Errorf("output at %d, want %d", f.At, len(*to))
	}
	*to = append(*to, f.Data...)
	return nil
}

// Recordings lists the paths of the containers under a directory of recordings. It is an error if there are none.
func Recordings(dir string) ([]string, error) {
	var out []string
	err := files.Walk(dir, func(rel string) error {
		if filepath.Ext(rel) == ".srec" {
			out = append(out, filepath.Join(dir, rel))
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("no recordings in %s", dir)
	}
	return out, err
}

// RecordingOf gives the path of the container of a session's first part under a directory of recordings. The error is
// fs.ErrNotExist if there is none.
func RecordingOf(dir, session string) (string, error) {
	return files.Locate(dir, session+".srec", time.Time{})
}

// Keep reads a recording with the slot files beside it. Identities are files; without the unsealer's, Typed is zeros.
func Keep(path string, identities ...string) (Kept, error) {
	var ids []age.Identity
	for _, file := range identities {
		f, err := os.Open(file)
		if err != nil {
			return Kept{}, err
		}
		got, err := age.ParseIdentities(f)
		f.Close()
		if err != nil {
			return Kept{}, err
		}
		ids = append(ids, got...)
	}
	stem := strings.TrimSuffix(path, ".srec")
	rk, err := unlock(stem+".rk.age", ids)
	if err != nil {
		return Kept{}, err
	}
	var sk *[32]byte
	if key, err := unlock(stem+".sk.age", ids); err == nil {
		sk = &key
	}
	f, err := os.Open(path)
	if err != nil {
		return Kept{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Kept{}, err
	}
	r, err := reader.Open(f, info.Size(), path, rk, sk)
	if err != nil {
		return Kept{}, err
	}
	return keep(r)
}

func unlock(path string, ids []age.Identity) ([32]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return [32]byte{}, err
	}
	defer f.Close()
	return format.Unlock(f, ids...)
}

func keep(r *reader.Reader) (Kept, error) {
	k := Kept{Header: r.Header(), More: map[uint32]*KeptChannel{}}
	for {
		f, err := r.Next()
		switch {
		case err == io.EOF:
			return k, nil
		case errors.Is(err, format.ErrCut):
			k.Cut = true
			return k, nil
		case err != nil:
			return k, err
		}
		switch f.Kind {
		case format.KindOutput:
			if err := k.channel(f.Ch).output(f); err != nil {
				return k, err
			}
		case format.KindSealed:
			body := make([]byte, f.Len())
			if f.Opened {
				copy(body, f.Data)
			}
			c := k.channel(f.Ch)
			c.Typed = append(c.Typed, body...)
			c.Revealed = append(c.Revealed, make([]byte, len(body))...)
		case format.KindClear:
			c := k.channel(f.Ch)
			c.Typed = append(c.Typed, f.Data...)
			c.Revealed = append(c.Revealed, f.Data...)
		case format.KindReveal:
			copy(k.channel(f.Ch).Revealed[f.At:], f.Data)
		case format.KindNote:
			n, err := f.Note()
			if err != nil {
				return k, err
			}
			k.Notes = append(k.Notes, n.Kind+": "+n.Text)
		}
	}
}
