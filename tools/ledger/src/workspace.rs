//! Walks the packages: which test binaries they have, and which tests of those claim to prove something.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::results::{Outcome, Run};
use crate::source::{self, FileModule};

/// The folders that hold packages.
const FOLDERS: [&str; 2] = ["crates", "tools"];

/// A test binary: a package and the root file in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The package's name.
    pub package: String,
    /// The root file, from the package: `src/lib.rs`.
    pub root: String,
    /// The name cargo gives the binary.
    pub binary: String,
}

/// A test that says what it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The binary it is in.
    pub target: Target,
    /// Modules and name, as the test runner prints them.
    pub path: String,
    /// Whether it is a test at all.
    pub is_test: bool,
    /// The ids it names.
    pub ids: Vec<String>,
    /// `file:line`, from the root of the repository.
    pub place: String,
}

impl Claim {
    /// The test's name for people: package, file where it is not the library, modules, function.
    pub fn name(&self) -> String {
        match self.target.root.as_str() {
            "src/lib.rs" => format!("{}: {}", self.target.package, self.path),
            root => format!("{} {root}: {}", self.target.package, self.path),
        }
    }

    /// How the test ended, the worst first where it ran several times.
    pub fn outcome(&self, runs: &[(&Run, &Target)]) -> Option<Outcome> {
        let mine = runs.iter().filter(|(_, target)| **target == self.target);
        let outcomes = mine
            .flat_map(|(run, _)| &run.tests)
            .filter(|(name, _)| *name == self.path)
            .map(|(_, outcome)| *outcome);
        outcomes.max_by_key(|outcome| match outcome {
            Outcome::Ignored => 0,
            Outcome::Passed => 1,
            Outcome::Failed => 2,
        })
    }
}

/// Everything found in the packages.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The test binaries.
    pub targets: Vec<Target>,
    /// The tests that claim something.
    pub claims: Vec<Claim>,
}

impl Workspace {
    /// Pairs each binary that ran with its target.
    pub fn match_runs<'a>(&'a self, runs: &'a [Run]) -> Vec<(&'a Run, &'a Target)> {
        let mut package: Option<&str> = None;
        let mut out = Vec::new();
        for run in runs {
            let candidates: Vec<&Target> = self
                .targets
                .iter()
                .filter(|target| target.root == run.root && target.binary == run.binary)
                .collect();
            // Files of the same name in two packages: cargo runs each package's unit tests first.
            let target = match candidates.as_slice() {
                [only] => Some(*only),
                several => several
                    .iter()
                    .find(|one| Some(one.package.as_str()) == package)
                    .copied(),
            };
            if let Some(target) = target {
                package = Some(&target.package);
                out.push((run, target));
            }
        }
        out
    }
}

/// Reads all packages under `root`. Every trouble is one sentence in the errors.
pub fn load(root: &Path, errors: &mut Vec<String>) -> Workspace {
    let mut workspace = Workspace::default();
    for package in packages(root) {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap_or_default();
        let name = toml::from_str::<Manifest>(&manifest).map(|manifest| manifest.package.name);
        let Ok(name) = name else {
            errors.push(format!(
                "{}: no package name found",
                relative(root, &package)
            ));
            continue;
        };
        let mut walk = Walk {
            root,
            errors,
            workspace: &mut workspace,
            seen: BTreeSet::new(),
        };
        walk.package(&package, &name);
        let seen = walk.seen;
        report_orphans(root, &package, &seen, errors);
    }
    workspace
}

#[derive(serde::Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(serde::Deserialize)]
struct Package {
    name: String,
}

/// The folders of all packages, sorted.
pub fn packages(root: &Path) -> Vec<PathBuf> {
    let folders = FOLDERS
        .iter()
        .flat_map(|folder| entries(&root.join(folder)));
    folders
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect()
}

/// The files with this extension directly in a folder, sorted.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let matches =
        |path: &PathBuf| path.is_file() && path.extension().is_some_and(|e| e == extension);
    entries(folder).into_iter().filter(matches).collect()
}

/// Everything directly in a folder, sorted; nothing where there is no such folder.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A path as it is written in messages: from the root of the repository, with slashes.
pub fn relative(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

struct Walk<'a> {
    root: &'a Path,
    errors: &'a mut Vec<String>,
    workspace: &'a mut Workspace,
    /// Every file that was read, in its one canonical form.
    seen: BTreeSet<PathBuf>,
}

/// A source file and where it stands in its binary.
struct File {
    path: PathBuf,
    /// The folder its `mod name;` declarations look in.
    folder: PathBuf,
    modules: Vec<String>,
}

impl Walk<'_> {
    fn package(&mut self, package: &Path, name: &str) {
        let crate_name = name.replace('-', "_");
        let mut roots = Vec::new();
        for root in ["src/lib.rs", "src/main.rs"] {
            roots.push((package.join(root), crate_name.clone()));
        }
        for folder in ["src/bin", "tests", "benches"] {
            for path in entries(&package.join(folder)) {
                let stem = path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if path.is_dir() {
                    roots.push((path.join("main.rs"), stem));
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    roots.push((path, stem));
                }
            }
        }
        for (path, binary) in roots.into_iter().filter(|(path, _)| path.is_file()) {
            let root = relative(package, &path);
            let target = Target {
                package: name.to_owned(),
                root,
                binary,
            };
            let folder = path.parent().unwrap_or(package).to_owned();
            self.file(
                &target,
                File {
                    path,
                    folder,
                    modules: Vec::new(),
                },
                0,
            );
            self.workspace.targets.push(target);
        }
    }

    fn file(&mut self, target: &Target, file: File, depth: usize) {
        let place = relative(self.root, &file.path);
        let text = match fs::read_to_string(&file.path) {
            Ok(text) if depth < 32 => text,
            Ok(_) => {
                return self
                    .errors
                    .push(format!("{place}: modules are nested too deeply"));
            }
            Err(error) => return self.errors.push(format!("{place}: {error}")),
        };
        let source = source::scan(&text);
        let first_visit = self.seen.insert(canonical(&file.path));
        for (line, fault) in source.faults.into_iter().filter(|_| first_visit) {
            self.errors.push(format!("{place}:{line}: {fault}"));
        }
        for claim in source.claims {
            let mut path = file.modules.clone();
            path.extend(claim.modules);
            path.push(claim.function);
            self.workspace.claims.push(Claim {
                target: target.clone(),
                path: path.join("::"),
                is_test: claim.is_test,
                ids: claim.ids.into_iter().map(|(_, id)| id).collect(),
                place: format!("{place}:{}", claim.line),
            });
        }
        for module in source.modules {
            match find_module(&file, &module) {
                Some(next) => self.file(target, next, depth + 1),
                None => self.errors.push(format!(
                    "{place}:{}: no file found for `mod {};`",
                    module.line, module.name
                )),
            }
        }
    }
}

fn find_module(file: &File, module: &FileModule) -> Option<File> {
    let mut modules = file.modules.clone();
    modules.extend(module.inside.iter().cloned());
    modules.push(module.name.clone());
    let folder = file.folder.join(module.inside.iter().collect::<PathBuf>());
    if let Some(path) = &module.path {
        let beside = if module.inside.is_empty() {
            file.path.parent()?
        } else {
            &folder
        };
        let path = beside.join(path);
        let folder = path.parent()?.to_owned();
        return path.is_file().then_some(File {
            path,
            folder,
            modules,
        });
    }
    let inner = folder.join(&module.name);
    let candidates = [
        folder.join(format!("{}.rs", module.name)),
        inner.join("mod.rs"),
    ];
    let path = candidates.into_iter().find(|path| path.is_file())?;
    Some(File {
        path,
        folder: inner,
        modules,
    })
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A file that no binary includes proves nothing: its tests never run.
fn report_orphans(root: &Path, package: &Path, seen: &BTreeSet<PathBuf>, errors: &mut Vec<String>) {
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"]
        .iter()
        .map(|folder| package.join(folder))
        .collect();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !seen.contains(&canonical(&path))
            {
                let source = source::scan(&fs::read_to_string(&path).unwrap_or_default());
                if !source.claims.is_empty() || !source.faults.is_empty() {
                    let place = relative(root, &path);
                    errors.push(format!(
                        "{place}: no `mod` leads here, so its tests never run"
                    ));
                }
            }
        }
    }
}
