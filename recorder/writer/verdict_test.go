package writer

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
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

// TestADeviceThatReceivedMoreInputThanTheRecordHasIsFlagged: a device judges every byte that it receives, so its verdict
// shows input that reached it by another way than through the record.
func TestADeviceThatReceivedMoreInputThanTheRecordHasIsFlagged(t *testing.T) {
	for name, c := range map[string]struct {
		judge func(*Recording)
		want  []string
	}{
		"what was typed": {func(r *Recording) { r.Verdict(0, 0, 2, false); r.Verdict(0, 2, 1, true) }, nil},
		"more": {func(r *Recording) { r.Verdict(0, 0, 8, false); r.Verdict(0, 8, 1, false) },
			[]string{"channel 0: the device says that it received 8 bytes of input, and the record has 3"}},
		"more after all": {func(r *Recording) { r.Verdict(0, 0, 3, false); r.Verdict(0, 3, 1, false) },
			[]string{"channel 0: the device says that it received 4 bytes of input, and the record has 3"}},
		"more, out of order": {func(r *Recording) { r.Verdict(0, 2, 1, false); r.Verdict(0, 3, 1, true) },
			[]string{"channel 0: the device says that it received 4 bytes of input, and the record has 3"}},
		"on a channel without any": {func(r *Recording) { r.Verdict(1, 0, 1, false) },
			[]string{"channel 1: the device says that it received 1 byte of input, and the record has 0"}},
		"on a channel that does not exist": {func(r *Recording) { r.Verdict(77, 0, 1, false) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n, _ := openNode(t, nodeConfig(dir))
			s := id.NewSession()
			r := create(t, n, recorder.PartConfig{Session: s})
			must(t, r.Input(t.Context(), 0, 0, []byte("ls\r")))
			c.judge(r)
			_, err := r.Close(t.Context(), "exit")
			must(t, err)
			var got []string
			for _, f := range readBack(t, dir, s, 0).frames {
				if n, err := f.Note(); err == nil && n.Kind == format.NoteDiffers {
					got = append(got, n.Text)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("the record has %q, want %q", got, c.want)
			}
		})
	}
}
