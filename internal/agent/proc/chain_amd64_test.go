package proc

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// chainCode is a program for amd64: write(1, "x", 1); clone(SIGCHLD); the parent ends, and the child begins anew. It is
// not in Go, because a process of Go takes longer to fork than to be found.
const chainCode = "b801000000bf01000000488d352a000000ba010000000f05b838000000bf1100000031f631d24531d24531c00f0585c074ceb8e7000000" +
	"31ff0f0578"

// chainProgram writes the program as an ELF file of one segment.
func chainProgram(t *testing.T) string {
	t.Helper()
	code, err := hex.DecodeString(chainCode)
	if err != nil {
		t.Fatal(err)
	}
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(code))
	var out bytes.Buffer
	for _, part := range []any{
		elf.Header64{Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1},
			Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Entry: base + headers, Phoff: 64,
			Ehsize: 64, Phentsize: 56, Phnum: 1},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Filesz: size, Memsz: size,
			Align: 0x1000},
		code,
	} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "chain")
	if err := os.WriteFile(path, out.Bytes(), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// chainLinks bounds a chain: those that have ended and whose status nobody has taken use up the machine's process ids.
const chainLinks = 12 << 10

// chain starts such processes and gives how many there have been. It ends by itself after chainLinks.
func chain(t *testing.T, start func(*exec.Cmd) (*exec.Cmd, error)) (links func() int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "links"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	limited := fmt.Sprintf("ulimit -c 0; ulimit -f %d; exec \"$0\"", chainLinks/512) // of the file, to which each writes a byte
	cmd := exec.Command("/bin/sh", "-c", limited, chainProgram(t))
	cmd.Stdout, cmd.SysProcAttr = f, &unix.SysProcAttr{Setsid: true}
	if cmd, err = start(cmd); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	links = func() int64 {
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	waitForLinks(t, links, 20)
	return links
}

func waitForLinks(t *testing.T, links func() int64, n int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); links() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the chain does not run")
		}
	}
}

// endChain ends what a failed test leaves.
func endChain(links func() int64) {
	for was := int64(-1); was != links(); time.Sleep(20 * time.Millisecond) {
		was = links()
		for range 50 {
			for _, pid := range childrenOf(os.Getpid()) {
				if p, ok := readProcess(pid); ok && !reapZombie(pid) {
					p.signal(unix.SIGKILL)
				}
			}
		}
	}
}

// TestProcessesThatStartAnewAllTheTimeAreEnded: each starts the next one and ends, so that a look at /proc finds none.
func TestProcessesThatStartAnewAllTheTimeAreEnded(t *testing.T) {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	for range 10 { // a look may be lucky
		tree := &Tree{ours: map[int]bool{}} // without a cgroup, which would make it easy
		links := chain(t, func(cmd *exec.Cmd) (*exec.Cmd, error) { return cmd, cmd.Start() })
		left := tree.End(30 * time.Second)
		was := links()
		time.Sleep(50 * time.Millisecond)
		if now := links(); now != was || len(left) > 0 {
			t.Errorf("after the end %d more were started; left: %v", now-was, left)
		}
		endChain(links)
	}
}

// TestTheNewestOfManyThatStartAnewIsEnded lets thousands end first, as on a machine that is busy: whoever reads about each
// of them comes too late for the one that runs. On a machine that is very busy a chain may reach its own end first.
func TestTheNewestOfManyThatStartAnewIsEnded(t *testing.T) {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	ended, tries := 0, 0
	for ; ended < 3 && tries < 15; tries++ {
		tree := &Tree{ours: map[int]bool{}}
		links := chain(t, func(cmd *exec.Cmd) (*exec.Cmd, error) { return cmd, cmd.Start() })
		waitForLinks(t, links, chainLinks/3)
		tree.End(30 * time.Second)
		if links() < chainLinks {
			ended++
		}
		endChain(links)
	}
	if ended == 0 {
		t.Errorf("none of %d chains was ended before its own end, after %d", tries, chainLinks)
	}
}

func TestASweepEndsProcessesThatStartAnewAllTheTime(t *testing.T) {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	for range 10 {
		links := chain(t, func(cmd *exec.Cmd) (*exec.Cmd, error) { return cmd, cmd.Start() })
		s := SweepAdopted(func(int) bool { return false })
		was := links()
		time.Sleep(50 * time.Millisecond)
		if now := links(); now != was {
			t.Errorf("after the sweep %d more were started: %v", now-was, s)
		}
		endChain(links)
	}
}

func TestASweepOfACgroupEndsProcessesThatStartAnewAllTheTime(t *testing.T) {
	for range 10 {
		tree, err := NewTree("test-chain") // a new one: what is started in a cgroup that was killed may die
		if err != nil {
			t.Fatal(err)
		}
		if tree.group == nil {
			t.Log("not run: this machine has no cgroup of version 2")
			return
		}
		links := chain(t, tree.start)
		s := tree.group.end(5 * time.Second)
		was := links()
		time.Sleep(50 * time.Millisecond)
		if now := links(); now != was {
			t.Errorf("after the sweep %d more were started: %v", now-was, s)
		}
		tree.End(5 * time.Second)
		endChain(links)
	}
}
