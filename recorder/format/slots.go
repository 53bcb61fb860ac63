package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// Wrap makes a slot file: an ordinary age file whose content is the 32 bytes of the key.
func Wrap(key *[32]byte, to []age.Recipient) ([]byte, error) {
	if len(to) == 0 {
		return nil, errors.New("no recipient: nobody could ever read the recording")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	if _, err := w.Write(key[:]); err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	if out.Len() > MaxSlot {
		return nil, fmt.Errorf("slot file of %d bytes, at most %d: fewer recipients, through a group key", out.Len(), MaxSlot)
	}
	return out.Bytes(), nil
}

// Unlock opens a slot file and gives the key in it. The stock age tool does the same.
func Unlock(slot io.Reader, ids ...age.Identity) (key [32]byte, err error) {
	r, err := age.Decrypt(io.LimitReader(slot, MaxSlot+1), ids...)
	if err != nil {
		return key, fmt.Errorf("open slot: %w", err)
	}
	if _, err := io.ReadFull(r, key[:]); err != nil {
		return key, fmt.Errorf("open slot: the key is shorter than 32 bytes: %w", err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return [32]byte{}, errors.New("open slot: the key is longer than 32 bytes")
	}
	return key, nil
}
