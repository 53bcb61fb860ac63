package proc

import (
	"testing"

	"golang.org/x/sys/unix"
)

// shell is bash with a prompt that does not stand in the command.
const shell = `env PS1=ready"> " bash --norc --noprofile -i`

// relays are programs that open an inner terminal, with a shell at it.
var relays = [][]string{
	{"script", "-q", "-c", shell, "/dev/null"},
	{"python3", "-c", "import pty; pty.spawn(['sh', '-c', '" + shell + "'])"},
	{"expect", "-c", "spawn sh -c {" + shell + "}; interact"},
	{"unbuffer", "-p", "sh", "-c", shell},
}

// multiplexers have a server that opens it.
var multiplexers = [][]string{
	{"tmux", "-L", "sallyport-test", "-f", "/dev/null", "new-session", shell},
	{"screen", "-q", "-c", "/dev/null", "sh", "-c", shell},
}

// inner waits until a terminal that a program opened is in the wanted mode and read from.
func (x *typist) inner(want func(*unix.Termios) bool) {
	x.t.Helper()
	x.until("the inner terminal is ready", func() bool {
		w, ok := walkFrom(x.term.foreground())
		if !ok {
			return false
		}
		for tty, all := range w.at {
			m, err := innerMode(tty)
			if tty != w.tty && err == nil && want(m) && reads(all[0].foreground, 4) {
				return true
			}
		}
		return false
	})
}

func edited(m *unix.Termios) bool { return m.Cc[unix.VLNEXT] == 0 }

// asking is the mode of read -s, with or without -n, and not that of a program that passes on what is typed.
func asking(m *unix.Termios) bool {
	return m.Lflag&unix.ECHO == 0 && (m.Lflag&unix.ICANON != 0 || m.Lflag&unix.ECHOK == 0)
}

// opened starts a shell at an inner terminal.
func (x *typist) opened(command string) {
	x.t.Helper()
	x.expects(command+"\r", 'c')
	x.sees("ready> ")
	x.inner(edited)
}

// answersInside is answers, for a shell at an inner terminal.
func (x *typist) answersInside(command, end string) {
	x.t.Helper()
	x.inner(edited)
	x.expects(command+"\r", 'c')
	x.inner(asking)
	x.expects(secret+end, 'h')
	x.sees("ready> ")
	x.inner(edited)
	x.expects("echo in the open\r", 'c')
	x.sees("ready> ")
}

// Which programs open a terminal is not known, so none is asked for its name.
func TestAPromptAtATerminalThatAProgramOpenedIsHidden(t *testing.T) {
	x := sitAtBash(t)
	relay := copiedAs(t, "script", "passage")
	x.opened(relay + " -q -c '" + shell + "' /dev/null")
	x.answersInside("read -s x", "\r")
	x.answersInside("read -s -n 8 x", "\r")
	x.answersInside(written(t, "install", "#!/bin/bash\nread -s -n 8 x\n"), "\r")

	x.opened(relay + " -q -c '" + shell + "' /dev/null") // one in the other
	x.answersInside("read -s x", "\r")
}

func TestAPromptBehindAScriptOrAPipeIsHidden(t *testing.T) {
	relay := copiedAs(t, "script", "passage")
	command := relay + " -q -c '" + shell + "' /dev/null"
	for _, command := range []string{
		written(t, "install", "#!/bin/sh\n"+command+"\n"),
		command + " | cat",
		"( " + command + " )",
	} {
		x := sitAtBash(t)
		x.opened(command)
		x.answersInside("read -s x", "\r")
	}
}

// Nothing of what is typed comes to a job in the background.
func TestAPromptInTheBackgroundHidesNothing(t *testing.T) {
	x := sitAtBash(t)
	relay := copiedAs(t, "script", "passage")
	x.expects("sleep 600 | "+relay+" -q -c 'read -s x' /dev/null >/dev/null &\r", 'c')
	x.atPrompt()
	x.asksBelow()
	x.expects("echo in the open\r", 'c')
	x.expects("kill %1\r", 'c')
}

// The server of a multiplexer is no child of the client that the session has in its foreground.
func TestAPromptInAWindowOfAMultiplexerIsHidden(t *testing.T) {
	each(t, multiplexers, func(x *typist) {
		x.sees("ready> ")
		x.answersInside("read -s x", "\r")
		x.answersInside("read -s -n 8 x", "\r")
	})
}

// asksBelow waits until a terminal of any program below does not echo.
func (x *typist) asksBelow() {
	x.t.Helper()
	x.until("a program asks", func() bool {
		for _, p := range below(allProcesses(), x.pid) {
			if m, err := innerMode(p.tty); isPTS(p.tty) && err == nil && asking(m) {
				return true
			}
		}
		return false
	})
}

// Emacs draws what is typed to its programs, so their terminals do not echo.
func TestTheTerminalsOfAnEditorHideNothing(t *testing.T) {
	each(t, [][]string{{"emacs", "-nw", "-q", "-f", "shell"}}, func(x *typist) {
		x.asksBelow()
		x.expects("zz", 'c')
	})
}

func TestAPromptAtATerminalOfOtherProgramsIsHidden(t *testing.T) {
	each(t, relays, func(x *typist) {
		x.sees("ready> ")
		x.answersInside("read -s x", "\r")
		x.answersInside("read -s -n 8 x", "\r")
	})
	each(t, [][]string{{"rlwrap", "bash", "-c", "read -s x"}}, func(x *typist) {
		x.asksBelow()
		x.expects(secret, 'h')
	})
}

// A look must end soon, and what is not known is not revealed.
func TestTooManyProgramsToLookAtHide(t *testing.T) {
	x := sitDown(t, "script", "-q", "-c", "for i in $(seq 70); do sleep 600 & done; echo started; wait", "/dev/null")
	x.sees("started\r\n")
	x.expects(secret, 'h')
}

// sudo may ask in raw mode. Once it has started a program, that one has the terminal.
func TestWhatSudoStartedIsNotHidden(t *testing.T) {
	x := sitAtBash(t)
	sudo := copiedAs(t, "bash", "sudo")
	x.expects(sudo+" -c 'stty raw -echo; echo now; sleep 600; :'\r", 'c')
	x.sees("now\n")
	x.runs("sleep")
	x.expects("in the open", 'c')
	x = sitAtBash(t)
	x.expects("stty raw -echo; echo now; "+copiedAs(t, "sleep", "sudo")+" 600\r", 'c')
	x.sees("now\n")
	x.runs("sudo")
	x.expects(secret, 'h')
}
