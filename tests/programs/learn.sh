# docs/course/learn.c in a pseudo-terminal, over all exercises, in a copy of the course without git: learn.py plays the
# learner. Then what is typed most: make learn EX=...
. tests/programs/lib.sh
copy=$scratch/copy
mkdir -p "$copy/docs" "$copy/tests/bench"
cp -R docs/course "$copy/docs/"
cp -R tests/kit tests/kqueue "$copy/tests/"
cp tests/bench/bench.mk "$copy/tests/bench/"
cp async.h Makefile "$copy/"

make -s -C "$copy" learn EX=00.1 > "$scratch/one" || fail "make learn EX=00.1: $(cat "$scratch/one")"
grep -q '^  ok' "$scratch/one" || fail "not ok: $(cat "$scratch/one")"
! make -s -C "$copy" learn EX=00.2 > "$scratch/one" 2>&1 || fail "EX=00.2 is right before it was solved"
rm -rf "$copy/.learn"
python3 tests/programs/learn.py "$copy"
