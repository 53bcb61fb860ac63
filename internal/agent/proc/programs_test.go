package proc

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// each runs a test for every command whose program is on this machine. Of these only bash and more are everywhere.
func each(t *testing.T, commands [][]string, test func(*typist)) {
	for _, argv := range commands {
		if _, err := exec.LookPath(argv[0]); err != nil {
			t.Logf("%s is not on this machine, so %q is NOT tested here", argv[0], argv)
			continue
		}
		t.Run(argv[0]+" "+argv[len(argv)-1], func(t *testing.T) {
			test(sitDown(t, argv...))
		})
	}
}

// Input to an editor or a pager must stay readable in the record, although the terminal does not echo it.
func TestWhatAProgramDrawsIsNotHidden(t *testing.T) {
	each(t, [][]string{
		{"bash", "--norc", "--noprofile", "-i"},
		{"bash", "--norc", "--noprofile", "-o", "vi", "-i"},
		{"bash", "--norc", "--noprofile", "-c", "read -e x"},
		{"bash", "-c", "more walk.go; :"},
		{"more", "walk.go"},
		{"less", "walk.go"},
		{"top"},
		{"vim", "-n", "-u", "NONE"},
		{"nano"},
		{"emacs", "-nw", "-q"},
		{"rlwrap", "cat"},
		{"mc", "-a"},
		{"htop"},
		{"zsh", "-f", "-i"},
		{"fish", "--no-config"},
		{"mksh", "-i"},
		{"ksh93", "-i"},
		{"tcsh", "-f"},
		{"busybox", "ash", "-i"},
		{"python3"},
		{"node"},
		{"screen", "-q"},
		{"tmux", "-L", "sallyport-test", "-f", "/dev/null"},
	}, func(x *typist) {
		x.until("it has the terminal", func() bool {
			return x.term.mode().Lflag&unix.ECHO == 0 || reads(x.term.foreground(), 4)
		})
		x.until("it is not hidden", func() bool { return !x.term.hidden() }) // it may just start a pager
		x.expects("zz", 'c')
	})
}

func TestWhatAProgramDoesNotDrawIsHidden(t *testing.T) {
	each(t, [][]string{
		{"bash", "-c", "read -s -n 8 x"},
		{"bash", "-c", "stty -echo; read -n 8 x"},
		{"dash", "-c", "stty raw -echo; read x"},
		{"zsh", "-fc", "read -s -k 8 x"},
		{"zsh", "-fc", "stty raw -echo; read -k 8 x"},
		{"mksh", "-c", "stty -echo; read -N 8 x"},
		{"ksh93", "-c", "stty -echo; read -N 8 x"},
		{"busybox", "ash", "-c", "read -s -n 8 x"},
		{"python3", "-c", "import sys, tty; tty.setcbreak(0); sys.stdin.read(8)"},
		{"perl", "-e", "system 'stty cbreak -echo'; 1 while sysread STDIN, $x, 8"},
		{"whiptail", "--passwordbox", "x", "8", "40"},
		{"dialog", "--passwordbox", "x", "8", "40"},
		{"systemd-ask-password", "--timeout=0"},
	}, func(x *typist) {
		x.mute(true)
		for range 2 {
			x.until("it reads", func() bool { return reads(x.term.foreground(), 4) })
			x.expects("z", 'h')
		}
	})
}
