package writer

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
)

// TestVerdictsMayTakeLongerThanTheWaitWhileTheyKeepComing types ten lines at once, as a paste does. The device gives a
// verdict every four seconds, then none on the last two lines.
func TestVerdictsMayTakeLongerThanTheWaitWhileTheyKeepComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		n, _ := openNode(t, nodeConfig(dir))
		s := id.NewSession()
		r := create(t, n, recorder.PartConfig{Session: s})
		for range 10 {
			must(t, r.Input(t.Context(), 0, 0, []byte("ls\r")))
		}
		for i := range uint64(8) {
			time.Sleep(4 * time.Second)
			r.Verdict(0, 3*i, 3, i == 4)
		}
		time.Sleep(n.cfg.VerdictWait - time.Second)
		r.mu.Lock()
		waiting := r.judge.bytes
		r.mu.Unlock()
		if waiting != 6 {
			t.Errorf("a second before the wait ends %d bytes wait for a verdict, want 6", waiting)
		}
		time.Sleep(2 * time.Second)
		r.Verdict(0, 24, 6, false)
		_, err := r.Close(t.Context(), "exit")
		must(t, err)
		want := append(bytes.Repeat([]byte("ls\r"), 4), 0, 0, 0)
		want = append(append(want, bytes.Repeat([]byte("ls\r"), 3)...), make([]byte, 6)...)
		if got := readBack(t, dir, s, 0).shown[0]; !bytes.Equal(got, want) {
			t.Errorf("shown to readers: got %q, want %q", got, want)
		}
	})
}
