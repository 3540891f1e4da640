#!/usr/bin/env python3
"""replay.py MODEL_TEST -- a seed decides every byte of every region, and --op shows the same operations

Runs model_test twice with one seed and compares the digests of all regions, and then twice up to one
operation and compares what is printed.
"""
import re
import secrets
import subprocess
import sys


def run(program, *arguments):
    result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)
    return result.returncode, result.stdout


def main():
    program, seed = sys.argv[1], str(secrets.randbelow(1 << 40))
    runs = [run(program, "--ops", "12000", "--seed", seed) for _ in range(2)]
    digests = [re.findall(r"regions=(\w+)", text) for _, text in runs]
    shown = [run(program, "--op", "7000", "--seed", seed) for _ in range(2)]
    numbers = re.findall(r"^(\d+): ", shown[0][1], re.M)
    is_good = (runs[0][0] == 0 and runs[1][0] == 0 and digests[0] == digests[1]
               and digests[0] != [] and digests[0][0] != "0" * 16
               and shown[0] == shown[1] and "7000" in numbers and len(numbers) >= 20)
    print(f"seed={seed} regions={digests} shown={len(numbers)} {'equal' if is_good else 'DIFFERENT'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
