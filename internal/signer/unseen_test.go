package signer

import (
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// TestHashesOfNothingDoNotTakeTheRoomOfSignIns: whoever has the data plane can close as many as they like.
func TestHashesOfNothingDoNotTakeTheRoomOfSignIns(t *testing.T) {
	h := newHouse(t)
	for i := range mostUnseen { // in memory alone: so many files would take a minute
		token := wire.Sum([]byte{byte(i), byte(i >> 8), 'x'})
		h.state.signIns[token] = signIn{Token: token, Until: h.clock().Add(h.cfg.SignInAge), Closed: true}
	}
	wantKind(t, "one more hash of nothing", h.SignOut(t.Context(), wire.Sum([]byte("nothing"))), errkind.TooMany)
	used := evidence("tess")
	if err := h.Identify(t.Context(), used); err != nil {
		t.Errorf("a sign-in beside them: %v", err)
	}
	if err := h.SignOut(t.Context(), TokenHash(used.IDToken)); err != nil {
		t.Errorf("the end of one that was used: %v", err)
	}
	wantKind(t, "after its end", h.Identify(t.Context(), used), errkind.Signin)
}
