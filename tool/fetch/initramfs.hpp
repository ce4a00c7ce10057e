// Assembles a guest's initramfs around a static busybox: device nodes, applets, kernel modules, the
// user's files, and an init that ends in a shell on the console.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fetch/package_cache.hpp"
#include "system/artifact.hpp"
#include "system/model.hpp"

namespace mezzo::fetch {

// Builds it. The shell's prompt is `name` followed by ":DIRECTORY# "; run/script.hpp relies on it.
//   busybox      the package busybox-static
//   kernel_root  the unpacked kernel package, empty if the kernel is a file of the user's
// Throws UserError: a module or file that does not exist.
[[nodiscard]] system::InitramfsArtifact build_initramfs(const system::InitramfsSpec& spec,
                                                        const std::string& name,
                                                        const Package& busybox,
                                                        const std::filesystem::path& kernel_root);

// Adds the files `paths` of `package` to `spec.files`, at their own places. Throws UserError: the
// package has no such file.
void add_package_files(const Package& package, const std::vector<std::string>& paths,
                       system::InitramfsSpec& spec);

}  // namespace mezzo::fetch
