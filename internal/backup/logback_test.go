package backup

import (
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestAShortLogIsReplacedByItsCopyAndSetAside(t *testing.T) {
	h := newHouse(t)
	h.grow(2)
	h.sign.Close()
	old := h.path("old")
	must(t, os.CopyFS(old, os.DirFS(h.data("signer", "log"))))
	h.reopen()
	h.grow(2)
	target := Target{Config: h.Config}
	if _, err := target.RestoreLog(); errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(),
		"the signer runs") {
		t.Errorf("while the signer runs: got %v", err)
	}
	h.sign.Close()
	if _, err := target.RestoreLog(); errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(),
		"nothing was changed") {
		t.Errorf("a log that is whole: got %v", err)
	}
	must(t, os.RemoveAll(h.data("signer", "log")))
	must(t, os.CopyFS(h.data("signer", "log"), os.DirFS(old)))
	back, err := target.RestoreLog()
	if err != nil || back.Size != 5 || back.Was != 3 || back.Aside == "" {
		t.Fatalf("got %+v, %v", back, err)
	}
	h.reopen()
	h.grow(1)
	h.sign.Close()
	must(t, os.RemoveAll(h.data("signer", "log")))
	if back, err := target.RestoreLog(); err != nil || back.Size != 6 || back.Aside != "" {
		t.Errorf("a log that is missing: got %+v, %v", back, err)
	}
	h.reopen()
	if _, without := unnamed(t, gatewayPlace(h.Config)); len(without) > 0 {
		t.Errorf("no rule names %v", without)
	}
}
