# Runs inside a lab, with its R: loads each package that is named on the command line in a fresh R of its own.
# Prints a line each: the name, then the version that was loaded, or "failed" and the end of the error.

load_alone <- function(package) {
  code <- sprintf("cat(getNamespaceInfo(loadNamespace('%s'), 'spec')[['version']])", package)
  rscript <- file.path(R.home("bin"), "Rscript")
  errors <- tempfile()
  version <- suppressWarnings(
    system2(rscript, c("--vanilla", "-e", shQuote(code)), stdout = TRUE, stderr = errors, timeout = 60)
  )
  if (is.null(attr(version, "status"))) {
    return(paste(package, tail(version, 1)))
  }
  paste(package, "failed", paste(tail(readLines(errors), 3), collapse = " "))
}

lines <- parallel::mclapply(commandArgs(trailingOnly = TRUE), load_alone, mc.cores = 2)
writeLines(unlist(lines))
