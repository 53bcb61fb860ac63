package state

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
)

// FuzzMemory reads what a disk may have made of the device's memory: it opens or is refused, a session that was written on a line
// of its own and whose pass could still be good stays used, and what was read is read again as it was.
func FuzzMemory(f *testing.F) {
	sid := id.Session{7}
	f.Add([]byte(`{"epoch":3,"head":{"origin":"o","size":1,"root":""},"floor":1800000000000}`), []byte(sid.String()+" 1800000001\n"), []byte{}, int64(1800000001))
	f.Add([]byte(`{"epoch":3,"floor":1}`), []byte(strings.Repeat("\x00", 70<<10)), []byte("half a li"), int64(9223372036854775807))
	f.Add([]byte(`{"epoch":3,"Epoch":1}`), []byte("x 1\r\n"), []byte("\n\n"), int64(5))
	d := newDir(f)
	f.Fuzz(func(t *testing.T, trust, before, after []byte, until int64) {
		line := fmt.Sprintf("\n%s %d\n", sid, until)
		for name, content := range map[string]string{"trust.json": string(trust), "sids": string(before) + line + string(after)} {
			if err := os.WriteFile(d.file(name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		one, err := OpenTrust(d)
		if err != nil {
			return
		}
		defer one.Close()
		if _, used := one.sids[sid]; !used && until >= one.mem.Floor/1000 {
			t.Errorf("forgot a session whose pass is good until %d, at %d", until, one.mem.Floor)
		}
		two, err := OpenTrust(d)
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		if !reflect.DeepEqual(one.sids, two.sids) || one.mem != two.mem {
			t.Errorf("read again: got %+v, want %+v", two, one)
		}
	})
}
