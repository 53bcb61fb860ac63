package problem

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestRetryAfterIsTheWaitOfTheError(t *testing.T) {
	busy := errkind.New(errkind.TooMany, "too many")
	for want, err := range map[string]error{
		"5":  busy,
		"30": busy.WithWait(30 * time.Second),
		"2":  busy.WithWait(1100 * time.Millisecond),
		"":   errkind.New(errkind.Denied, "no").WithWait(time.Second),
	} {
		w := httptest.NewRecorder()
		Write(w, slog.New(slog.DiscardHandler), err)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
