// Stands for Node's `url`, which a dependency of Cornerstone loads and never calls in a browser.
export {};
