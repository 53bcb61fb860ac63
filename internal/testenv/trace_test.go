package testenv

import (
	"slices"
	"testing"
)

func TestATraceIsReadInOrder(t *testing.T) {
	got := parseTrace(`10  read(22<TCP:[127.0.0.1:42->127.0.0.1:36]>, ""..., 512) = 17
10  pwrite64(15</d/journal>, ""..., 4096, 8192 <unfinished ...>
11  fdatasync(15</d/journal> <unfinished ...>
10  <... pwrite64 resumed>)           = 4096
10  --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---
12  <... read resumed>"", 512)        = 0
11  <... fdatasync resumed>)          = 0
10  write(24<TCP:[[::1]:1->[::1]:2]>, ""..., 38 <unfinished ...>
10  read(22<TCP:[127.0.0.1:42->127.0.0.1:36]>, 0xc000, 512) = -1 EAGAIN (Resource temporarily unavailable)
`)
	want := []Call{
		{"read", "TCP:[127.0.0.1:42->127.0.0.1:36]", `""..., 512`, 17, 1, 1},
		{"pwrite64", "/d/journal", `""..., 4096, 8192`, 4096, 2, 4},
		{"fdatasync", "/d/journal", "", 0, 3, 7},
		{"write", "TCP:[[::1]:1->[::1]:2]", `""..., 38`, 0, 8, 0},
		{"read", "TCP:[127.0.0.1:42->127.0.0.1:36]", "0xc000, 512", -1, 9, 9},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}
