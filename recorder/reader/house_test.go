package reader

import (
	"bytes"
	"testing"

	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// allKeys gives the options of a verifier who has every key.
func allKeys(p *sealtest.Part) VerifyOptions {
	return VerifyOptions{File: "test.srec", Key: sealtest.Public(p.Key), RK: &p.RK, SK: &p.SK}
}

func verifyBytes(tb testing.TB, file []byte, opt VerifyOptions) (*Report, error) {
	tb.Helper()
	return Verify(tb.Context(), bytes.NewReader(file), int64(len(file)), opt)
}
