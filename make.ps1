# The Makefile's commands for Windows without make: ./make.ps1 demo | ui | test | lint | translations | format | docs | docs-check | bench
param([Parameter(Position = 0)][ValidateSet("demo", "ui", "test", "lint", "translations", "format", "docs", "docs-check", "bench")][string]$Target = "demo")

$ErrorActionPreference = "Stop"
$PSNativeCommandUseErrorActionPreference = $true
Set-Location $PSScriptRoot
$Venv = if ($env:VENV) { $env:VENV } else { ".venv" }
$Python = Join-Path $Venv "Scripts/python.exe"

function Invoke-Python {
    & $Python @args
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

function Install-Packages {
    Invoke-Python -m pip --disable-pip-version-check --no-input install --constraint constraints.txt @args
}

# Runs a step again only when constraints.txt or a pyproject.toml is newer than the mark it leaves.
function Invoke-Once([string]$Name, [scriptblock]$Step) {
    $Mark = Join-Path $Venv ".installed$Name"
    $Sources = @(Get-Item constraints.txt, pyproject.toml, kernel/pyproject.toml) + @(Get-Item plugins/*/pyproject.toml)
    $Newest = ($Sources | Measure-Object LastWriteTimeUtc -Maximum).Maximum
    if ((Test-Path $Mark) -and (Get-Item $Mark).LastWriteTimeUtc -ge $Newest) { return }
    & $Step
    New-Item -ItemType File -Force $Mark | Out-Null
}

if (-not (Test-Path $Python)) {
    $Base = if ($env:PYTHON) { $env:PYTHON } else { "python" }
    & $Base -m venv $Venv
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

Invoke-Once "" {
    Install-Packages torch
    Install-Packages --quiet hatchling editables
    $Editable = @("kernel") + @(Get-Item plugins/*/pyproject.toml | ForEach-Object { $_.DirectoryName }) + @(".")
    Install-Packages --quiet --no-build-isolation @($Editable | ForEach-Object { "--editable"; $_ })
}
if ($Target -in "lint", "format") { Invoke-Once "-lint" { Install-Packages --quiet --no-build-isolation --editable ".[lint]" } }
if ($Target -in "test", "bench") {
    Invoke-Once "-test" {
        Install-Packages --quiet --no-build-isolation --editable ".[test]"
        Install-Packages --quiet --no-deps k-diffusion
    }
}

switch ($Target) {
    "demo" { Invoke-Python scripts/demo_sheet.py }
    "ui" { & (Join-Path $Venv "Scripts/sfumato.exe") ui --open }
    "test" { Invoke-Python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile }
    "lint" {
        Invoke-Python -m ruff format --check .
        Invoke-Python -m ruff check .
        Invoke-Python -m mypy
        Invoke-Python scripts/translations.py --check
    }
    "translations" { Invoke-Python scripts/translations.py }
    "format" {
        Invoke-Python -m ruff check --fix .
        Invoke-Python -m ruff format .
    }
    "docs" { Invoke-Python scripts/generate_docs.py }
    "docs-check" {
        Invoke-Python scripts/generate_docs.py --check
        Invoke-Python scripts/check_docs.py
    }
    "bench" { Invoke-Python -m benchmarks }
}
