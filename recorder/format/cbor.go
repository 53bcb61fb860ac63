package format

import (
	"bytes"
	"errors"

	"github.com/fxamacker/cbor/v2"
)

var encMode, decMode = cborModes()

func cborModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // fixed options: only a programming error gets here
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   6,
		MaxArrayElements:  2 * MaxIndex,
		MaxMapPairs:       64,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// Encode gives v in its one deterministic encoding (RFC 8949, section 4.2.1).
func Encode(v any) ([]byte, error) { return encMode.Marshal(v) }

var errNotCanonical = errors.New("CBOR is not in its one deterministic encoding")

// DecodeExact decodes raw into v and demands that v encodes to raw again: one value has one
// encoding, and a missing field is not the same as a zero one.
func DecodeExact(raw []byte, v any) error {
	if err := decMode.Unmarshal(raw, v); err != nil {
		return err
	}
	again, err := Encode(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, again) {
		return errNotCanonical
	}
	return nil
}
