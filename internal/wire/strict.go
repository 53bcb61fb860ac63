package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// MaxDepth bounds nesting in JSON and CBOR of a peer.
const MaxDepth = 16

// StrictJSON reads one JSON value into v. It refuses unknown names, names that occur twice or
// differ only in case, nesting beyond MaxDepth and anything after the value.
func StrictJSON(data []byte, v any) error {
	return decodeJSON(data, v, true)
}

// SignedJSON is StrictJSON for a signed text, the names of which are all in lower case. encoding/json would also take
// them in another case, and another reader refuses those as unknown.
func SignedJSON(data []byte, v any) error {
	if err := StrictJSON(data, v); err != nil {
		return err
	}
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	return lowerNames(all)
}

func lowerNames(v any) error {
	switch v := v.(type) {
	case []any:
		for _, in := range v {
			if err := lowerNames(in); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, in := range v {
			if name != strings.Map(lowerRune, name) {
				return fmt.Errorf("json: the name %.40q is not known", name)
			}
			if err := lowerNames(in); err != nil {
				return err
			}
		}
	}
	return nil
}

// LooseJSON is StrictJSON that lets unknown names pass, for messages that later versions extend.
func LooseJSON(data []byte, v any) error {
	return decodeJSON(data, v, false)
}

// decodeJSON refuses what is not UTF-8, which encoding/json would replace by something else.
func decodeJSON(data []byte, v any, known bool) error {
	if !utf8.Valid(data) {
		return errors.New("json: it is not UTF-8")
	}
	if err := checkNames(data); err != nil {
		return err
	}
	if !known { // a control message: a decoder would cost more than the message
		if err := json.Unmarshal(data, v); err != nil {
			return fmt.Errorf("json: %w", err)
		}
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("json: something follows the value")
	}
	return nil
}

var cborEnc, cborDec = cborModes()

func cborModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   MaxDepth,
		MaxArrayElements:  4096,
		MaxMapPairs:       256,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// MarshalCBOR writes v in the core deterministic encoding (RFC 8949 section 4.2.1).
func MarshalCBOR(v any) ([]byte, error) { return cborEnc.Marshal(v) }

// UnmarshalCBOR reads v and refuses every byte sequence but the one MarshalCBOR writes for it.
func UnmarshalCBOR(data []byte, v any) error {
	if err := cborDec.Unmarshal(data, v); err != nil {
		return fmt.Errorf("cbor: %w", err)
	}
	again, err := cborEnc.Marshal(v)
	if err != nil {
		return fmt.Errorf("cbor: %w", err)
	}
	if !bytes.Equal(again, data) {
		return errors.New("cbor: not in deterministic encoding")
	}
	return nil
}
